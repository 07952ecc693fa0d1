//! Tests that a form comes out with another model and otherwise unchanged.

use proptest::prelude::*;

use super::super::{BodyFacts, ModelEdit};
use super::*;

const TYPE: &str = "multipart/form-data; boundary=xyz";

fn part(headers: &str, value: &str) -> String {
    format!("--xyz\r\n{headers}\r\n\r\n{value}\r\n")
}

fn named(name: &str, value: &str) -> String {
    part(&format!("Content-Disposition: form-data; name=\"{name}\""), value)
}

fn form(parts: &[String]) -> String {
    parts.concat() + "--xyz--\r\n"
}

const FILE: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"model.mp3\"\r\nContent-Type: audio/mpeg";

fn edited(content_type: &str, body: &str, edit: &ModelEdit<'_>) -> Result<String, BodyError> {
    let facts = BodyFacts::read_form(body.as_bytes(), content_type)?;
    Ok(String::from_utf8(facts.edited(edit, &Default::default()).to_vec()).expect("text"))
}

fn check(parts: &[String], expected: &[String]) {
    assert_eq!(edited(TYPE, &form(parts), &ModelEdit::set("new")), Ok(form(expected)));
}

#[test]
fn only_the_models_bytes_change() {
    let file = part(FILE, "\r\n--xy\r\n\0--xyz model\r\n");
    check(&[named("model", "old"), file.clone()], &[named("model", "new"), file.clone()]);
    check(&[file.clone(), named("model", "")], &[file.clone(), named("model", "new")]);
    let model = |value| part("content-disposition:form-data;NAME=model\r\nX-Other: name=\"model\"", value);
    check(&[model("old"), file.clone()], &[model("new"), file]);
}

#[test]
fn an_absent_model_is_added_where_that_is_wanted() {
    let file = part(FILE, "x");
    check(std::slice::from_ref(&file), &[named("model", "new"), file.clone()]);
    check(&[], &[named("model", "new")]);
    let body = form(&[file]);
    assert_eq!(edited(TYPE, &body, &ModelEdit::replace("new")), Ok(body));
}

#[test]
fn what_stands_before_and_after_is_kept() {
    let body = |model: &str| format!("a preamble\r\n{}an epilogue\r\n--xyz\r\n", form(&[named("model", model)]));
    assert_eq!(edited(TYPE, &body("old"), &ModelEdit::set("new")), Ok(body("new")));
}

#[test]
fn what_the_client_asked_for_is_read() {
    for (parts, model, streamed) in [
        (vec![named("model", "whisper-1"), named("stream", "true")], Some("whisper-1"), true),
        (vec![named("stream", "false")], None, false),
        (vec![part(FILE, "x")], None, false),
    ] {
        let body = form(&parts);
        let facts = BodyFacts::read_form(body.as_bytes(), TYPE).expect("usable");
        assert_eq!((facts.model.as_deref(), facts.streamed), (model, streamed), "{body}");
    }
}

#[test]
fn what_servers_may_read_differently_is_refused() {
    let closed = |text: &str| format!("{text}--xyz--\r\n");
    for (body, reason) in [
        (form(&[named("model", "a"), named("model", "b")]), "twice"),
        (form(&[named("Model", "a")]), "case"),
        (form(&[part("Content-Disposition: form-data; name=\"model\"; filename=a", "m")]), "file"),
        (
            form(&[part("Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: base64", "m")]),
            "encoded",
        ),
        (form(&[part("Content-Disposition: form-data; name*=utf-8''model", "m")]), "encoded"),
        (form(&[part("Content-Disposition: form-data; name=\"mo\\del\"", "m")]), "cannot be read"),
        (form(&[part("Content-Disposition: form-data; name=\"a\"; name=\"b\"", "m")]), "cannot be read"),
        (form(&[part("Content-Disposition: form-data; name=\"a", "m")]), "cannot be read"),
        (form(&[part("Content-Disposition: form-data", "m")]), "no name"),
        (form(&[part("X: y", "m")]), "no content disposition"),
        (form(&[part("Content-Disposition: form-data;\r\n name=\"model\"", "m")]), "one to a line"),
        (form(&[named("a", "x\n--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm")]), "bare line feed"),
        (form(&[named("a", "x\r\n--xyzzy\r\n")]), "something else follows"),
        (closed("--xyz\r\nContent-Disposition: form-data\r\n"), "do not end"),
        (closed("--xyz\r\n"), "no headers"),
        (named("model", "a"), "cut off"),
        ("nothing of the kind".to_owned(), "not in it"),
        (String::new(), "not in it"),
        (form(&vec![named("a", ""); 1_025]), "1024 parts"),
        (form(&[part(&format!("X: {}", "y".repeat(9_000)), "m")]), "do not end"),
    ] {
        let error = edited(TYPE, &body, &ModelEdit::set("new")).expect_err(&body);
        assert!(error.to_string().contains(reason), "{body}: {error}");
    }
}

#[test]
fn a_boundary_is_one() {
    for (content_type, expected) in [
        ("multipart/form-data; boundary=xyz", Some("xyz")),
        ("multipart/form-data; charset=\"a;b\"; Boundary=\"x y\" ", Some("x y")),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=\"x", None),
        ("multipart/form-data; boundary=x; boundary=y", None),
        ("multipart/form-data; boundary=\"x\r\n\"", None),
    ] {
        assert_eq!(boundary(content_type).ok(), expected, "{content_type}");
    }
    let long = |length| format!("multipart/form-data; boundary={}", "x".repeat(length));
    assert!(boundary(&long(70)).is_ok() && boundary(&long(71)).is_err());
}

proptest! {
    /// Whatever a file holds, it comes out as it went in.
    #[test]
    fn files_stay_intact(file in prop::collection::vec(any::<u8>(), 0..200), model in "[a-z0-9-]{1,9}", first: bool) {
        prop_assume!(memmem::find(&file, b"--xyz").is_none());
        let file = [b"--xyz\r\n", FILE.as_bytes(), b"\r\n\r\n", &file, b"\r\n"].concat();
        let whole = |model: &str| {
            let model = named("model", model).into_bytes();
            let parts = if first { [model, file.clone()] } else { [file.clone(), model] };
            [parts.concat(), b"--xyz--".to_vec()].concat()
        };
        let body = whole("old");
        let facts = BodyFacts::read_form(&body, TYPE).expect("usable");
        prop_assert_eq!(facts.edited(&ModelEdit::set(&model), &Default::default()).to_vec(), whole(&model));
    }

    #[test]
    fn nothing_panics(body in prop::collection::vec(prop::sample::select(b"-xyz\r\n:;=\"name modelContent-Disposition".to_vec()), 0..300)) {
        if let Ok(facts) = BodyFacts::read_form(&body, TYPE) {
            prop_assert!(!facts.edited(&ModelEdit::set("m"), &Default::default()).to_vec().is_empty());
        }
    }
}
