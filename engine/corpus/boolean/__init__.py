"""Boolean searches, as PubMed, Ovid and Embase.com write them."""
