"""Questions of many fields, few of which any one corpus is about: half of them whole sentences, half a few words."""

from __future__ import annotations

# Four of each field, so that a corpus of one of these fields still finds most of them unrelated.
QUESTIONS = (
    # law
    "When may a landlord keep the deposit after a tenant has moved out?",
    "liability of airlines for lost luggage",
    "Is an oral agreement between two merchants a binding contract?",
    "How do courts decide whether a patent on a machine is obvious?",
    # cooking
    "How long should a beef stew simmer so that the meat becomes tender?",
    "lemon tart with meringue",
    "Which flour is best for thin pancakes?",
    "the best way to peel roasted peppers",
    # astronomy
    "What do the moons of Jupiter tell us about how planets form?",
    "spectra of quasars",
    "How far away are the nearest supernova remnants?",
    "amateur telescopes for watching meteors",
    # computing
    "How can a web server handle ten thousand connections with one thread?",
    "sorting algorithms for linked lists",
    "Why does my program crash with a segmentation fault after calling free?",
    "file permissions in Linux",
    # sport and games
    "Which tactics help a football team that plays away from home?",
    "rules of ice hockey",
    "How are points counted in a game of bridge?",
    "world records in the long jump",
    # economics and trade
    "Do higher taxes on fuel change the prices that supermarkets ask?",
    "exchange rates and foreign debt",
    "How did the banking crisis spread between countries?",
    "advertising budgets of small retailers",
    # history and politics
    "Why did the siege of Constantinople succeed in 1453?",
    "voting systems in parliamentary elections",
    "What caused the peasants' revolts in medieval Europe?",
    "letters of Roman senators",
    # engineering
    "How is the thickness of a concrete dam calculated?",
    "brakes of freight trains",
    "Which alloys resist rust in bridges over salt water?",
    "maintenance of elevator cables",
    # arts and literature
    "How does the narrator deceive the reader in modern detective novels?",
    "brushwork in impressionist landscapes",
    "Which instruments play the theme in the second movement of the symphony?",
    "costumes in silent films",
    # earth and weather
    "How do ocean currents shape the coast of Norway?",
    "layers of sandstone in river canyons",
    "Why are tornadoes frequent over the great plains?",
    "topographic maps of mountain passes",
    # travel and daily life
    "Where can I park a caravan near the beach in summer?",
    "night trains from Paris to Vienna",
    "How do I remove candle wax from a wooden table?",
    "cheap curtains for a bay window",
    # mathematics and physics
    "Can every even number be written as the sum of two primes?",
    "eigenvalues of random matrices",
    "How does a laser cool a cloud of atoms?",
    "knots and their polynomials",
)
