import re,glob,json,random,statistics as st
J=dict(A="Invented Annals of Joint Medicine",B="Invented Journal of Clinical Rheumatology Practice",C="Invented Archives of Connective Tissue Disease",D="Invented Nordic Rheumatology Letters",E="Invented Spine and Enthesis Review",F="Invented Paediatric Rheumatology Quarterly",G="Invented Journal of Vasculitis Research",H="Invented Osteoarthritis and Bone Reports",I="Invented Imaging in Arthritis",J="Invented Lupus and Sclerosis Bulletin")
DROP={'gout-febux','tak-tnf','perio','jia-mtx','erap1'}
recs=[]
for f in sorted(glob.glob('p[1-6].txt')):
    for b in re.split(r'(?m)^(?=S: )',open(f,encoding='utf8').read()):
        if not b.strip(): continue
        L=b.strip().split('\n')
        d={l[0]:l[3:].strip() for l in L[:5]}
        body=' '.join(L[5:]).strip()
        if body=='[EMPTY]': body=''
        if d['S'] in DROP: continue
        if d['S']=='septic': d['Y']='1988'
        recs.append((d['S'],d['T'],body,int(d['Y']),J[d['J']],[a.strip() for a in d['A'].split(';')]))
random.Random(7).shuffle(recs)
m={}
with open('../abstracts.jsonl','w',encoding='utf8',newline='\n') as o:
    for i,(s,t,b,y,j,a) in enumerate(recs,1):
        m[s]=f'sample-{i:03d}'
        o.write(json.dumps(dict(id=m[s],title=t,abstract=b,year=y,journal=j,authors=a,invented=True),ensure_ascii=False)+'\n')
json.dump(m,open('map.json','w'))
wc={s:len(b.split()) for s,t,b,*_ in recs if b}
v=sorted(wc.values())
print(len(recs),'median',st.median(v),'min',v[0],'max',v[-1],'>230:',sum(x>230 for x in v),'>150',sum(x>150 for x in v))
print('over260',{s:c for s,c in wc.items() if c>260},'under90',{s:c for s,c in wc.items() if c<90})
print('200-230',{s:c for s,c in wc.items() if 195<=c<=230})
print({s:c for s,c in wc.items() if c>230})
print(min(r[3] for r in recs),max(r[3] for r in recs), max(len(r[5]) for r in recs), min(len(r[5]) for r in recs))
from collections import Counter; print(Counter(r[4] for r in recs)); print(sorted(Counter(r[3] for r in recs).items()))
