"""What readers leave out of a record on purpose: tags about the entry in a database, or that repeat other tags."""

from __future__ import annotations

# Format -> what is left out and why -> its tags. Of XML and JSON, an element or key stands for all that is inside it.
OMITTED: dict[str, dict[str, frozenset[str]]] = {
    "MEDLINE": {
        "about the entry in PubMed": frozenset(
            "OWN STAT SB DA DCOM LR EDAT MHDA CRDT CDAT CTDT DRDT PHST PUBM PST OTO PMCR JID".split()
        ),
        "repeats other tags": frozenset({"AU", "SO"}),
    },
    "PubMed XML": {
        "about the entry in PubMed": frozenset(
            "DateCreated DateCompleted DateRevised History PublicationStatus NlmUniqueID CitationSubset".split()
        ),
        "repeats other elements": frozenset(
            {"MedlineTA", "ISOAbbreviation", "Initials", "Pagination/EndPage", "CommentsCorrections/RefSource"}
        ),
        "a cited work has its first id, or else its text": frozenset({"ReferenceList"}),
        "details of terms, grants and numbers": frozenset(
            {"QualifierName", "RegistryNumber", "Grant/Acronym", "Grant/Agency", "Grant/Country", "DataBankName"}
        ),
        "another date, other numbers, and the members of a group": frozenset(
            {"ArticleDate", "ArticleIdList", "InvestigatorList"}
        ),
    },
    "OpenAlex": {
        "calculated by OpenAlex": frozenset(
            "concepts topics primary_topic keywords/score related_works counts_by_year cited_by_count cited_by_api_url "
            "ngrams_url fwci citation_normalized_percentile cited_by_percentile_year sustainable_development_goals "
            "relevance_score referenced_works_count locations_count countries_distinct_count "
            "institutions_distinct_count has_fulltext fulltext_origin is_paratext is_xpac "
            "institution_assertions".split()
        ),
        "about the entry in OpenAlex": frozenset({"created_date", "updated_date", "indexed_in", "type_crossref"}),
        "other copies, and ids of people, institutions and places": frozenset(
            "locations alternate_host_venues open_access/oa_status best_oa_location/source best_oa_location/version "
            "best_oa_location/license primary_location/source/id primary_location/source/host_organization "
            "primary_location/source/type primary_location/version primary_location/license host_venue/id "
            "host_venue/type host_venue/version host_venue/license host_venue/publisher author/id "
            "authorships/author_position institutions "
            "authorships/countries authorships/affiliations corresponding_author_ids corresponding_institution_ids "
            "apc_list apc_paid content_url ids/mag keywords/id".split()
        ),
        "details of terms": frozenset({"mesh/descriptor_ui", "mesh/qualifier_ui", "mesh/qualifier_name"}),
    },
    "CSV": {"a row's number, in a column without a name": frozenset({""})},
    "EndNote XML": {"about the library": frozenset("rec-number foreign-keys source-app database".split())},
}


def list_omitted(kind: str) -> frozenset[str]:
    """Return all tags that the reader of a format leaves out."""
    return frozenset().union(*OMITTED.get(kind, {}).values())
