import json
Q="""q01|painful toe after beer and seafood|gout-diet:2
q02|malaria pills harming eyesight|hcq-oct:2 hcq-dose:1
q03|fingers turning white in the cold, which tablets help|ray-ccb:2 ray-sild:2 ray-gloves:1
q04|sudden blindness in an old woman with scalp tenderness|gca-visual:2 gca-us:2 gca-toci:1
q05|dry mouth and gritty eyes, what can be prescribed|sjs-pilo:2
q06|shingles with the newer RA tablets|jak-zoster:2 jak-trial:1 zoster-vax:1
q07|brittle bones from long-term steroids|PMID:99000001:2 giop-teri:2 giop-guide:2
q08|why people skip their pills|adherence:2 hcq-level:1
q09|kid with spiking temperature, enlarged liver and plummeting blood counts|mas-dx:2 mas-treat:1
q10|giving up work because of a stiff back|axspa-work:2
q11|does it matter whether methotrexate is swallowed or injected|mtx-sc:2
q12|can biologics be stopped once rheumatoid arthritis is in remission|taper-tnf:2 taper-us:2 taper-order:2 rtx-low:1
q13|planning a pregnancy with lupus|sle-preg:2 sle-family:2 preg-review:2 sle-neonatal:1 aps-obst:1
q14|slowing lung scarring in scleroderma|ssc-nint:2 ssc-mmf:2 ssc-hsct:1
q15|arthritis as a side effect of cancer immunotherapy|ici-cohort:2 ici-il6:2 ici-preexist:1
q16|keeping ANCA vasculitis in remission with rituximab|anca-rtx:2 PMID:99000002:2 anca-aza:1
q17|exercise instead of surgery or injections for knee osteoarthritis|knee-ex:2 knee-diet:1
q18|patients feeling worse after being moved to a biosimilar|biosim-nocebo:2 biosim-switch:2"""
m=json.load(open('map.json'))
with open('../queries.jsonl','w',newline='\n') as q, open('../qrels.tsv','w',newline='\n') as t:
    t.write('query_id\tdoc_id\trelevance\n')
    for l in Q.split('\n'):
        i,text,rel=l.split('|')
        q.write(json.dumps({'id':i,'text':text},ensure_ascii=False)+'\n')
        for x in rel.split():
            d,r=x.rsplit(':',1); t.write(f"{i}\t{d if d.startswith('PMID:') else m[d]}\t{r}\n")
