//! A static model in the router's own process.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::*;
use model_router::classifier::{FILES, StaticModel, Vector};

/// A policy whose embedder is a directory.
fn local(directory: &Path) -> String {
    let declared = "type: openai, url: \"{{vectors}}/v1/embeddings\", model: small, api_key: { value: vectors-key }";
    policy("", "", ROUTES).replace(declared, &format!("type: static, path: {}", directory.display()))
}

fn check(policy: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    let policy = policy.replace("{{east}}", "http://127.0.0.1:9").replace("{{west}}", "http://127.0.0.1:9");
    fs::write(&file, policy).unwrap();
    Command::new(crate::rig::router::binary()).arg("check").arg(&file).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_in_this_process_sorts_requests_without_a_call() {
    let rig = Rig::start(Topology::Failover, &local(&model()), &["east", "west"]).await;
    for (words, model, classification) in [
        ("my python script loops forever, please fix the function", "gpt-4o-mini", "matched"),
        ("how long should i cook rice for soup", "o1-mini", "matched"),
        ("who was the second president of france", "gpt-4o", "none"),
        ("🤷", "gpt-4o", "none"),
    ] {
        assert_eq!(served(&rig.send(chat("any").say(words)).await), (model.to_owned(), classification), "{words}");
    }
    let long = format!("fix this python function {}", "that never ends ".repeat(50_000));
    assert_eq!(served(&rig.send(chat("any").say(&long)).await).0, "gpt-4o-mini");
    let decisions = rig.router.events("decision");
    let took: Vec<_> = decisions.iter().filter_map(|line| line["fields"]["waited_ms"].as_u64()).collect();
    println!("waited {took:?} ms");
    rig.check_clean().await;
}

#[test]
fn vectors_are_those_of_the_reference_implementation() {
    let directory = model();
    let files = FILES.map(|file| fs::read(directory.join(file)).unwrap());
    let ours = StaticModel::load(&directory, &files, StaticModel::space_of(&files)).unwrap();
    let theirs = model2vec_rs::model::StaticModel::from_pretrained(&directory, None, None, None).unwrap();
    for text in [
        "why does my loop never end",
        "It's 3.14 times as slow, isn't it? (Yes; it is!)",
        "naïve Größe — 漢字 and 🚀 emoji",
        "https://example.com/a?b=c snake_case camelCase SHOUTING",
        "line one\nline two\tand a tab",
        "a",
    ] {
        let expected = Vector::of(&theirs.encode_single(text)).unwrap();
        // Twice: the second time its words are remembered.
        for _ in 0..2 {
            let cosine = ours.embed(text).unwrap().cosine(&expected);
            assert!(cosine > 0.999, "{text}: {cosine}");
        }
    }
    assert!(ours.embed("").unwrap().is_zero(), "it has no word");
}

#[test]
fn a_directory_that_is_no_model_is_refused_with_the_file_and_what_is_expected() {
    let good = model();
    let without = |file: &str| {
        let directory = tempfile::tempdir().unwrap();
        for name in ["tokenizer.json", "model.safetensors", "config.json"].into_iter().filter(|name| *name != file) {
            fs::copy(good.join(name), directory.path().join(name)).unwrap();
        }
        directory
    };
    for (file, content, message) in [
        ("tokenizer.json", None, "tokenizer.json is missing"),
        ("config.json", None, "config.json is missing"),
        ("tokenizer.json", Some("{}"), "tokenizer.json: expected a Hugging Face tokenizer"),
        ("config.json", Some("[]"), "config.json: expected a JSON object"),
        ("model.safetensors", Some("something"), "model.safetensors: expected safetensors"),
    ] {
        let directory = without(file);
        if let Some(content) = content {
            fs::write(directory.path().join(file), content).unwrap();
        }
        let output = check(&local(directory.path()));
        let error = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && error.contains(message), "{file}: {error}");
        assert!(error.contains("policy.yaml:") && error.contains("a directory of Model2Vec's form has"), "{error}");
    }
    let output = check(&local(Path::new("/nowhere")));
    let error = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(error.contains("there is no such directory"), "{error}");
}

#[test]
fn check_warns_of_a_threshold_that_keeps_nothing_out() {
    let lax =
        local(&model()).replace("        embedder: vectors\n", "        embedder: vectors\n        threshold: 0.0\n");
    for (policy, is_lax) in [(lax, true), (local(&model()), false)] {
        let output = check(&policy);
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(text.contains("hardly sends a request to the default"), is_lax, "{text}");
    }
}

#[test]
fn check_warns_of_utterances_that_do_harm() {
    let odd = local(&model())
        .replace("a recipe for tomato soup", "write a python function that sorts a list, cooking")
        .replace("why does my loop never end", "why does my loop never end, Fix this Python function");
    let output = check(&odd);
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for warning in [
        "the utterance `write a python function that sorts a list` scores",
        "at route `Coding`",
        "the utterance `Fix this Python function` is in route `Coding` already",
        "the utterance `cooking` is one word",
    ] {
        assert!(text.contains(warning), "{warning} is not in\n{text}");
    }
}
