//! JSONTestSuite as request bodies: each case on its own and as a value beside a model.

mod generate;
mod generated;
mod second;
mod verdict;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use verdict::{Verdict, check};

/// Where the router and serde_json's `Value` differ on a case that stands as a value in a body. Taken alone, no case
/// differs: those that are objects hold none of this.
const DIFFERENCES: [(&str, Verdict); 15] = [
    ("i_number_huge_exp", Verdict::BigNumber),
    ("i_number_neg_int_huge_exp", Verdict::BigNumber),
    ("i_number_pos_double_huge_exp", Verdict::BigNumber),
    ("i_number_real_neg_overflow", Verdict::BigNumber),
    ("i_number_real_pos_overflow", Verdict::BigNumber),
    ("i_object_key_lone_2nd_surrogate", Verdict::LoneSurrogate),
    ("i_string_1st_surrogate_but_2nd_missing", Verdict::LoneSurrogate),
    ("i_string_1st_valid_surrogate_2nd_invalid", Verdict::LoneSurrogate),
    ("i_string_incomplete_surrogate_and_escape_valid", Verdict::LoneSurrogate),
    ("i_string_incomplete_surrogate_pair", Verdict::LoneSurrogate),
    ("i_string_incomplete_surrogates_escape_valid", Verdict::LoneSurrogate),
    ("i_string_invalid_lonely_surrogate", Verdict::LoneSurrogate),
    ("i_string_invalid_surrogate", Verdict::LoneSurrogate),
    ("i_string_inverted_surrogates_U+1D11E", Verdict::LoneSurrogate),
    ("i_string_lone_second_surrogate", Verdict::LoneSurrogate),
];

/// The cases by name; `None` in a clone that has no copy of the suite beside it.
fn cases() -> Option<BTreeMap<String, Vec<u8>>> {
    let directory: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "../shared/data/json-test-suite/test_parsing"].iter().collect();
    let files = fs::read_dir(directory).ok()?;
    let case = |file: fs::DirEntry| {
        let name = file.file_name().into_string().unwrap();
        (name.trim_end_matches(".json").to_owned(), fs::read(file.path()).unwrap())
    };
    Some(files.map(|file| case(file.unwrap())).collect())
}

fn wrapped(case: &[u8]) -> Vec<u8> {
    [br#"{"model":"old","x":"#, case, b"}"].concat()
}

/// What was found, counted, without the cases on which both agree.
fn differences(verdicts: &BTreeMap<&str, Verdict>) -> Vec<(String, Verdict)> {
    let differs = |(_, verdict): &(&&str, &Verdict)| !matches!(verdict, Verdict::Accepted | Verdict::Refused);
    verdicts.iter().filter(differs).map(|(name, verdict)| ((*name).to_owned(), *verdict)).collect()
}

#[test]
fn each_case_of_the_json_test_suite_is_accepted_or_refused_as_serde_json_does() {
    let Some(cases) = cases() else {
        println!("left out: JSONTestSuite is not at ../shared/data/json-test-suite");
        return;
    };
    let in_a_body: BTreeMap<_, _> = cases.iter().map(|(name, case)| (&**name, check(&wrapped(case)))).collect();
    let alone: BTreeMap<_, _> = cases.iter().map(|(name, case)| (&**name, check(case))).collect();
    for (name, verdict) in &in_a_body {
        assert!(!name.starts_with("y_") || *verdict == Verdict::Accepted, "{name} must be accepted, is {verdict:?}");
        assert!(!name.starts_with("n_") || *verdict == Verdict::Refused, "{name} must be refused, is {verdict:?}");
    }
    let accepted = |verdicts: &BTreeMap<_, Verdict>| verdicts.values().filter(|verdict| verdict.accepts()).count();
    println!(
        "JSONTestSuite: {} cases; {} accepted in a body, {} alone",
        cases.len(),
        accepted(&in_a_body),
        accepted(&alone)
    );
    let expected: Vec<_> = DIFFERENCES.iter().map(|(name, verdict)| ((*name).to_owned(), *verdict)).collect();
    assert_eq!(differences(&in_a_body), expected);
    assert_eq!(differences(&alone), []);
}
