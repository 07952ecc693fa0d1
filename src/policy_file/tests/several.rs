//! Several files, one policy.

use super::*;

/// A directory of files with these names and contents.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).expect("written");
    }
    directory
}

#[test]
fn files_of_a_directory_are_one_policy_in_the_order_of_their_names() {
    let second =
        "apis: [{ name: b, base_path: /b, production: { round_robin: { targets: [{ model: m, endpoint: east }] } } }]";
    let files = [("b.yml", second), ("a.yaml", NAMES), ("c.json", API), (".d.yaml", "no: policy"), ("e.txt", "none")];
    let directory = directory(&files);
    let reading = read(&[directory.path().to_owned()], &secrets(MissingSecrets::Refuse), &Registry::default(), 1);
    let snapshot = reading.result.expect("valid").snapshot;
    let apis: Vec<_> = snapshot.apis.iter().map(|api| api.name.to_string()).collect();
    assert_eq!(apis, ["b", "a"]);
    let depends = ["", "a.yaml", "b.yml", "c.json"].map(|name| directory.path().join(name));
    assert_eq!(
        reading.files.iter().map(|path| path.components().collect()).collect::<Vec<PathBuf>>(),
        depends.map(|path| path.components().collect::<PathBuf>())
    );
    let line = |(name, text): (&str, &str)| {
        let sum: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{sum}  {name}\n")
    };
    let lines: String = [("a.yaml", NAMES), ("b.yml", second), ("c.json", API)].map(line).concat();
    assert_eq!(snapshot.hash, Sha256::digest(lines).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}

#[test]
fn key_files_are_beside_the_file_that_names_them() {
    let one = directory(&[("a.yaml", &NAMES.replace("{ env: KEY }", "{ file: key }")), ("key", "sesame")]);
    let two = directory(&[("b.yaml", API), ("key", "not: this one")]);
    let paths = [one.path().join("a.yaml"), two.path().join("b.yaml")];
    let Reading { files, result } = read(&paths, &secrets(MissingSecrets::Refuse), &Registry::default(), 1);
    assert!(result.is_ok());
    assert_eq!(files, [paths[0].clone(), paths[1].clone(), one.path().join("key")]);
}

#[test]
fn a_directory_without_a_policy_file_is_told() {
    let directory = directory(&[("notes.txt", "")]);
    let paths = [directory.path().to_owned()];
    let Reading { files, result } = read(&paths, &secrets(MissingSecrets::Warn), &Registry::default(), 1);
    let problems = result.expect_err("nothing there").to_string();
    assert!(
        problems.ends_with(
            "error: the directory holds no policy file; none ends in `.yaml`, `.yml`, `.json` or `.apk-conf`"
        ),
        "{problems}"
    );
    assert_eq!(files, paths);
}
