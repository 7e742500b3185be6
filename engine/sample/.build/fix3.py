import re,glob
R={}
def r(slug,*pairs): R.setdefault(slug,[]).extend(pairs)
r('tb-screen',("who had travelled or been exposed anew","who had since travelled"))
r('hand-splint',("In the first of two parallel trials, 56 adults wore a gutter splint at night on one painful distal joint for three months, with the neighbouring painful joint as control. Average pain in the splinted joint fell by 1.5 points out of 10 and in the control joint by 0.9; extension deficit improved by five degrees. In the second trial, 110 adults","In the first of two parallel trials, 72 adults with painful distal joints were randomised to a silicone sleeve splint at night for ten weeks or to a heat pack before bed. Average pain fell by 1.2 points out of 10 with the splint and 1.0 with the heat pack; deformity did not change, but 14 in the splint group and four in the other slept better. In the second trial, 110 adults"))
r('mda5',("Survival at six months was 86% in the study and 48% in controls (p = 0.001). Four of five deaths fell","Survival at six months was 78% in the study and 45% in controls (p = 0.006). Six of eight deaths fell"),("tacrolimus (trough 10 to 12 ng/ml) and intravenous cyclophosphamide every two weeks","tacrolimus (trough 8 to 10 ng/ml) and intravenous cyclophosphamide every three weeks"))
r('mas-dx',("hyperferritinaemia above 700 µg/l","hyperferritinaemia above 1,100 µg/l"),("a sensitivity of 77% and a specificity of 97%","a sensitivity of 81% and a specificity of 93%"))
r('giop-guide',("expected to take 2.5 mg or more of prednisone daily for three months should have their fracture risk estimated within six weeks","expected to take 3 mg or more of prednisone daily for two months should have their fracture risk estimated at the start"),("more than 30 mg daily","more than 25 mg daily"))
r('bp-holiday',("odds ratio of 64 compared","odds ratio of 41 compared"),("by about two thirds in each year","by about half in each year"),("was 13 per 10,000","was 9 per 10,000"))
r('pjp',("of 30 mg daily or more, lasting at least four weeks","of 20 mg daily or more, lasting at least six weeks"))
r('knee-diet',("by about four units of force for each unit of body weight,","by 31 newtons for each kilogram,"))
for f in sorted(glob.glob('p[1-6].txt')):
    out=[]
    for b in re.split(r'(?m)^(?=S: )',open(f,encoding='utf8').read()):
        m=re.match(r'S: (\S+)',b)
        if m:
            for o,n in R.pop(m.group(1),[]):
                if o not in b: print('MISS',m.group(1),o[:60])
                b=b.replace(o,n)
        out.append(b)
    open(f,'w',encoding='utf8').write(''.join(out))
