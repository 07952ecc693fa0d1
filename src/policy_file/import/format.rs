//! The formats of other gateways, and how each is recognised by its content.

use super::{apim, apk, is_manifest, is_resource, platform, settings};
use crate::document::problem::Report;
use crate::document::yaml::Node;

/// Another gateway's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Kubernetes resources of WSO2 APK, or its `apk-conf`.
    Apk,
    /// What WSO2 API Manager exports: APIs, endpoints, AI service providers, and its `deployment.toml`.
    Apim,
    /// Documents of WSO2 API Platform, and the gateway's `config.toml`.
    ApiPlatform,
}

impl Format {
    /// Returns what has this format, in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Apk => "resources of WSO2 APK",
            Self::Apim => "documents of WSO2 API Manager",
            Self::ApiPlatform => "documents of WSO2 API Platform",
        }
    }

    /// Returns the names of files with the settings of a whole gateway, which are read from directories too; of every
    /// format if it is not known.
    pub(super) fn settings(format: Option<Self>) -> &'static [&'static str] {
        match format {
            Some(Self::Apk) => &[],
            Some(Self::Apim) => &[apim::SETTINGS],
            Some(Self::ApiPlatform) => &[platform::SETTINGS],
            None => &[apim::SETTINGS, platform::SETTINGS],
        }
    }

    /// Returns what is wrong with a document that cannot be one of this format.
    pub(super) fn foreign(self, document: &Node) -> Option<&'static str> {
        match self {
            Self::Apk if !is_manifest(document) => {
                Some("this is no Kubernetes manifest and no `apk-conf`; the former needs `apiVersion` and `kind`")
            }
            Self::ApiPlatform if !is_resource(document) => {
                Some("this is no document of API Platform; it needs `apiVersion` and `kind`")
            }
            _ => None,
        }
    }

    /// Returns the format that all documents have together. Documents of none, or of several, are reported.
    pub(super) fn of_all(documents: &[Node], report: &mut Report) -> Option<Self> {
        let mut found: Option<(Self, &Node)> = None;
        for document in documents {
            let format = match Self::of(document) {
                Recognised::Format(format) => format,
                Recognised::Any => continue,
                Recognised::Policy => {
                    let help = "give it to `check` or `serve` as it is".to_owned();
                    report.error_with(document.place, "this is a policy file of the router already", help);
                    continue;
                }
                Recognised::Unknown => {
                    let help = "expected an export of WSO2 API Manager, or what APK or API Platform deploys".to_owned();
                    report.error_with(document.place, "it is not known what this document is", help);
                    continue;
                }
            };
            match found {
                None => found = Some((format, document)),
                Some((known, first)) if known != format => {
                    let first = report.locate(first.place, document.place);
                    let message = format!("{} begin here, and {} at {first}", format.describe(), known.describe());
                    report.error_with(document.place, message, "import each by itself".to_owned());
                    return None;
                }
                Some(_) => {}
            }
        }
        if let Some(first) = documents.first().filter(|_| found.is_none() && !report.has_errors()) {
            report.error(first.place, "it is not known what these documents are");
        }
        found.map(|(format, _)| format).filter(|_| !report.has_errors())
    }

    fn of(document: &Node) -> Recognised {
        let version = document.get("apiVersion").and_then(Node::text).unwrap_or_default();
        let first = document.get("items").filter(|_| is_resource(document)).and_then(|items| items.items().first());
        if let Some(settings) = settings::data(document) {
            let format = if settings.get("apim").is_some() { Self::Apim } else { Self::ApiPlatform };
            Recognised::Format(format)
        } else if let Some(first) = first {
            Self::of(first)
        } else if platform::is_document(document) {
            Recognised::Format(Self::ApiPlatform)
        } else if apk::is_conf(document) || is_resource(document) && version.contains('.') {
            Recognised::Format(Self::Apk)
        } else if is_resource(document) {
            Recognised::Any // a Secret, which any of them may have
        } else if ["providers", "endpoints", "apis"].iter().any(|key| document.get(key).is_some()) {
            Recognised::Policy
        } else if apim::is_document(document) {
            Recognised::Format(Self::Apim)
        } else {
            Recognised::Unknown
        }
    }
}

/// What a document is recognised as.
enum Recognised {
    Format(Format),
    /// It may stand beside those of any format.
    Any,
    Policy,
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    #[track_caller]
    fn recognised(text: &str, expected: Result<Format, &str>) {
        let mut report = Report::default();
        let file = report.add_file("documents", std::path::Path::new(""), text);
        let documents = yaml::documents(text, file, |_| true, &mut report).expect("YAML");
        let found = Format::of_all(&documents, &mut report).ok_or_else(|| report.into_problems().to_string());
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(problems), Err(expected)) => assert!(problems.contains(expected), "{problems}"),
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn formats_are_recognised_by_content() {
        let platform = "apiVersion: gateway.api-platform.wso2.com/v1\nkind: LlmProxy\n";
        let secret = "apiVersion: v1\nkind: Secret\n";
        let apk = "apiVersion: dp.wso2.com/v1alpha3\nkind: API\n";
        recognised(platform, Ok(Format::ApiPlatform));
        recognised(&format!("{secret}---\n{platform}"), Ok(Format::ApiPlatform));
        recognised(&format!("{secret}---\n{apk}"), Ok(Format::Apk));
        recognised(
            "apiVersion: v1\nkind: List\nitems: [{ apiVersion: dp.wso2.com/v1alpha4, kind: APIPolicy }]",
            Ok(Format::Apk),
        );
        recognised("name: a\nbasePath: /a\ntype: REST\noperations: []\n", Ok(Format::Apk));
        recognised("type: api\ndata: { name: a, context: /a }\n", Ok(Format::Apim));
        recognised("name: a\ncontext: /a\n", Ok(Format::Apim));
        recognised(secret, Err("it is not known what these documents are"));
        recognised("model_list: []\n", Err("it is not known what this document is"));
        recognised("providers: {}\nendpoints: {}\n", Err("this is a policy file of the router already"));
        recognised(&format!("{platform}---\n{apk}"), Err("import each by itself"));
    }
}
