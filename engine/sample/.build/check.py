import json,re,csv,statistics as st,xml.etree.ElementTree as ET
R=[json.loads(l) for l in open('../abstracts.jsonl',encoding='utf8')]
K=['id','title','abstract','year','journal','authors','invented']
assert len(R)==120 and all(list(r)==K and r['invented'] is True and isinstance(r['year'],int) and r['journal'].startswith('Invented') and 1<=len(r['authors'])<=6 for r in R)
assert [r['id'] for r in R]==[f'sample-{i:03d}' for i in range(1,121)] and len({r['title'] for r in R})==120
assert sum(r['abstract']=='' for r in R)==2
v=sorted(len(r['abstract'].split()) for r in R if r['abstract'])
print('n',len(R),'min',v[0],'median',st.median(v),'mean',round(st.mean(v)),'max',v[-1],'>230:',sum(x>230 for x in v),'years',min(r['year'] for r in R),max(r['year'] for r in R),'journals',len({r['journal'] for r in R}),'structured',sum(bool(re.match('(OBJECTIVE|BACKGROUND|PURPOSE):',r['abstract'])) for r in R))
docs={r['id']:r['title']+' '+r['abstract'] for r in R}
t=ET.parse('../pubmed.xml').getroot()
for a in t:
    ab=a.find('.//Abstract'); p='PMID:'+a.find('.//MedlineCitation/PMID').text
    docs[p]=' '.join(a.find('.//ArticleTitle').itertext())+' '+(''.join(' '+''.join(x.itertext()) for x in ab.findall('AbstractText')) if ab is not None else '')
    docs[p]=''.join(a.find('.//ArticleTitle').itertext())+docs[p]
    print(p,[''.join(x.itertext()) for x in a.findall('.//PublicationType')],len(docs[p].split()))
Q={}
for l in open('../queries.jsonl'):
    d=json.loads(l); assert d['id'] not in Q; Q[d['id']]=d['text']; assert 4<=len(d['text'].split())<=16
STOP=set('a an the of in on at to for with from after and or be is it as by once what which why whether does can their because being up'.split())
tok=lambda s:[w for w in re.findall(r'[^\W_]+',s.lower()) if w not in STOP]
rows=list(csv.DictReader(open('../qrels.tsv'),delimiter='\t'))
seen=set()
for r in rows:
    assert r['query_id'] in Q and r['doc_id'] in docs and r['relevance'] in '12'; k=(r['query_id'],r['doc_id']); assert k not in seen; seen.add(k)
    qw,dw=set(tok(Q[k[0]])),set(tok(docs[k[1]]))
    sh={a for a in qw for b in dw if a==b or a[:5]==b[:5] or (len(a)>=4 and len(b)>=4 and a[:4]==b[:4])}
    sub={(a,b) for a in qw for b in dw if len(a)>=4 and a in b or (len(b)>=4 and b in a)}
    print(*k,r['relevance'],'NO-SHARE' if not {a for a in qw for b in dw if a==b or a[:5]==b[:5]} else 'shared', sorted(sh), sorted(sub) if not sh else '')
assert {k[0] for k in seen}==set(Q); from collections import Counter; c=Counter(r['query_id'] for r in rows); print(len(Q),len(rows),max(c.values()))
