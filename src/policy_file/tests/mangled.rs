//! Files that chance has made, or broken.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*|[-:\\[\\]{}&*!|>'\"%@`#,? \\n\\ta-c0-9.]{0,60}") {
        report(&text, MissingSecrets::Warn);
    }

    #[test]
    fn mangled_policies_never_panic(at in 0..10_000_usize, cut in 0..40_usize, put in "[-:\\[\\]{}&*!|>'\"%#,? \\n\\ta-c0-9./]{0,8}") {
        let policy = include_str!("../../../envoy/policies/environments.yaml");
        let start = policy.floor_char_boundary(at % policy.len());
        let end = policy.floor_char_boundary(start + cut);
        let mangled = format!("{}{put}{}", &policy[..start], &policy[end.max(start)..]);
        report(&mangled, MissingSecrets::Warn);
    }

    /// Whatever breaks around a key: neither messages nor excerpts have it, as long as its own map is whole.
    #[test]
    fn mangled_policies_show_no_key(at in 0..10_000_usize, cut in 0..40_usize, put in "[-:\\[\\]{}&*!|>'\"%#,? \\n\\ta-c0-9./]{0,8}") {
        let policy = include_str!("../../../envoy/policies/environments.yaml");
        for form in ["{ value: hunter2hunter2 }", "{ value: 'hunter2hunter2' }", "\n      value: hunter2hunter2", "\n      value: >\n        hunter2hunter2", "hunter2hunter2"] {
            let policy = policy.replace("{ env: OPENAI_EAST_KEY }", form);
            let key = policy.find("api_key").expect("a key")..policy.find("hunter2hunter2").expect("a key") + 16;
            let start = policy.floor_char_boundary(at % policy.len());
            let end = policy.floor_char_boundary((start + cut).min(policy.len()));
            if start <= key.end && end >= key.start {
                continue;
            }
            let mangled = format!("{}{put}{}", &policy[..start], &policy[end..]);
            let problems = match compiled(&mangled, MissingSecrets::Warn, &Registry::default()) {
                Ok(compiled) => compiled.warnings,
                Err(problems) => problems,
            };
            let shown = problems.explained().to_string();
            prop_assert!(!shown.contains("hunter"), "{mangled}\n{shown}");
        }
    }

    /// The same of manifests, whose Secrets have keys of any name. Half of the mistakes are close before a Secret.
    #[test]
    fn mangled_manifests_show_no_key(is_close: bool, at in 0..10_000_usize, cut in 0..40_usize, put in "[-:\\[\\]{}&*!|>'\"%#,? \\n\\ta-c0-9./]{0,8}") {
        const BASE64: &str = "aHVudGVyMmh1bnRlcjI=";
        let manifests = include_str!("../../../tests/import/apk/how-to.yaml");
        let manifests = manifests.replace("valueKey: apiKey", "valueKey: one");
        let manifests = manifests.replace("data: { apiKey: QmVhcmVyIGh1bnRlci1lYXN0 }", &format!("data:\n  one: {BASE64}"));
        let manifests = manifests.replace("stringData: { apiKey: Bearer hunter-west }", "stringData: { one: hunter2hunter2 }");
        let secrets = manifests.find("data:\n").expect("a Secret")..manifests.len();
        let start = if is_close { secrets.start - 1 - at % 120 } else { at % secrets.start };
        let start = manifests.floor_char_boundary(start);
        let end = manifests.floor_char_boundary((start + cut).min(secrets.start));
        let mangled = format!("{}{put}{}", &manifests[..start], &manifests[end..]);
        let problems = match compiled(&mangled, MissingSecrets::Warn, &Registry::default()) {
            Ok(compiled) => compiled.warnings,
            Err(problems) => problems,
        };
        let shown = problems.explained().to_string();
        prop_assert!(!shown.contains("hunter") && !shown.contains(BASE64), "{mangled}\n{shown}");
    }
}
