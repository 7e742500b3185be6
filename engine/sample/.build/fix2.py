import re,glob
R={}
def r(slug,*pairs): R.setdefault(slug,[]).extend(pairs)
r('ici-cohort',("and the fate of the tumour","and the tumour's fate"),("Patients with a rheumatic disease before immunotherapy were excluded. ",""))
r('ssc-mmf',(" A rise of five points or more was seen in 17 and 12 patients.",""),(", of which diarrhoea was the main complaint, and fewer patients gave up treatment early (9 versus 21)",""))
r('sle-preg',(" Uterine artery Doppler at 20 weeks sharpened prediction a little in those at intermediate risk.",""))
r('taper-tnf',(" Anti-citrullinated protein antibodies and a longer disease duration predicted flare.",""),("Serious infections occurred in three and five patients.","Serious infections were few."))
r('tele',(" Two diagnoses of skin cancer and one of hypertension were made only at the final examination.",""),("Adults with rheumatoid arthritis, psoriatic arthritis or axial spondyloarthritis in stable","Adults with inflammatory arthritis in stable"))
r('mas-treat',("this should be tested in a randomised trial with early entry","a randomised trial should test this"))
r('tb-screen',("one of whom required admission for liver failure and recovered","one of whom was admitted with liver failure"),("started or been exposed anew","travelled"))
r('jak-trial',(", with a difference evident by week 2",""))
# shorter ones
r('hand-pred',(" Grip strength rose by 1.9 kg and Doppler scores dropped modestly.",""),(" Mild rises in blood pressure were the only harm seen.",""),(" Glucocorticoids are unsuitable for long use in a disease that lasts decades.",""))
r('pmr-dose',(" Body weight above 75 kg predicted failure of the lower dose.",""),(" and 20 mg for the heavy",""),(" Vertebral fracture was found in three patients starting on 20 mg and one starting on 10 mg.",""))
r('mtx-folate',(" Erythrocyte folate rose dose-dependently.",""),(" A larger amount may be tried when mouth ulcers persist.",""),(" Eleven participants stopped methotrexate, six of them in the 5 mg group.",""))
r('aps-obst',(" Lumbar spine density declined by 2% in both groups. Women with lupus, who numbered eleven, lost four pregnancies.",""))
r('gout-allo',(" No rash occurred.",""),(" Swelling, walking and C-reactive protein behaved in the same way.",""))
r('behcet-eye',(" Vitreous haze cleared at a median of three and five weeks respectively.",""))
r('knee-steroid',(" Effusions shrank equally. Glycated haemoglobin rose briefly in those with diabetes. No joint became infected.",""))
r('perio',)
r('taper-us',(" Grey-scale thickening alone had no predictive value."," "),(" Neither C-reactive protein nor the patient's global score added information.",""),(" Relapsers were retreated with the same agent and 21 of 24 responded.",""))
r('biosim-cost',(" Health districts that reinvested part of the gain in nursing had the lowest reversion.",""),("in four invented health districts","in four health districts"))
r('ra-depression',(", and that the two dimensions be reported side by side",""),(" A depression score in the range of probable disorder multiplied the odds of near-remission by 4.6.",""))
r('psa-enth',(" Structural lesions in the Achilles insertion carried most of the information; Doppler signal was rare and fluctuated.",""))
r('jia-uveitis',(" Age at onset under four years and earlier cataract predicted recurrence.",""))
r('cppd',(" Rescue analgesia did not differ.",""))
r('sle-belimumab',(" Cutaneous manifestations improved more slowly in smokers.",""),(" Belimumab spares glucocorticoids in everyday care, with the best results when it is started before damage has accrued."," Belimumab spares glucocorticoids in everyday care."))
r('shoulder-us',(" Trainees became accurate with ultrasound after about twelve procedures.",""))
r('ssc-calc',(" Injection was painful and needed local anaesthetic; one lesion became infected.",""))
r('t2t',(" Ultrasound would have changed the judgement in one in six.",""))
r('mtx-vaccine',(" Four influenza infections were confirmed by swab, three of them in patients who had skipped nothing.",""))
Y={'mtx-folate':2001,'foot-orth':2003,'knee-diet':1999,'gout-allo':1995,'tele':2025,'ici-il6':2025,'tka-expect':2006,'jia-trans':2005,'sjs-lymphoma':2010,'fls-basic':2024,'hmgcr':2015}
for f in sorted(glob.glob('p[1-6].txt')):
    out=[]
    for b in re.split(r'(?m)^(?=S: )',open(f,encoding='utf8').read()):
        m=re.match(r'S: (\S+)',b)
        if m:
            for o,n in R.pop(m.group(1),[]):
                if o not in b: print('MISS',m.group(1),o[:60])
                b=b.replace(o,n)
            if m.group(1) in Y: b=re.sub(r'(?m)^Y: \d+',f'Y: {Y[m.group(1)]}',b)
        out.append(re.sub(r'  +',' ',b))
    open(f,'w',encoding='utf8').write(''.join(out))
print(list(R))
