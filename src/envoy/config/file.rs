//! The clusters' file of an Envoy that follows it, replaced in one step.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::clusters;
use crate::routing::snapshot::Snapshot;

/// The name of the file in its directory.
const NAME: &str = "clusters.yaml";

/// A directory whose clusters' file is kept up to date.
#[derive(Clone, Debug)]
pub struct ClustersFile {
    directory: PathBuf,
    ca_file: PathBuf,
}

impl ClustersFile {
    /// Creates a file in this directory; providers' certificates are checked against these authorities.
    #[must_use]
    pub fn new(directory: PathBuf, ca_file: PathBuf) -> Self {
        Self { directory, ca_file }
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// Replaces the file by one for these policies; says whether there was anything to change. Envoy sees the old file
    /// or the new one, never a part: it looks when a file is moved into its place.
    ///
    /// # Errors
    /// The directory is not there, or may not be written to; clusters contradict each other or ours.
    pub fn write(&self, snapshots: &[&Snapshot]) -> Result<bool, String> {
        let all = clusters::of(snapshots).map_err(|conflicts| conflicts.to_string())?;
        let text = clusters::file(&all, &self.ca_file);
        let path = self.path();
        if fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(false);
        }
        self.replace(&path, &text).map(|()| true).map_err(|error| wrong(&path, &error))
    }

    /// Makes the file, without clusters, unless it is there.
    ///
    /// # Errors
    /// The directory is not there, or may not be written to.
    pub fn make(&self) -> Result<(), String> {
        let path = self.path();
        let made =
            File::create_new(&path).and_then(|mut file| file.write_all(clusters::file(&[], &self.ca_file).as_bytes()));
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(wrong(&path, &error)),
            _ => Ok(()),
        }
    }

    fn replace(&self, path: &Path, text: &str) -> io::Result<()> {
        let fresh = self.directory.join(format!(".{NAME}.{}", std::process::id()));
        let mut file = File::create(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?; // else a crash could leave an empty file in the place
        fs::rename(&fresh, path)?;
        File::open(&self.directory)?.sync_all()
    }
}

fn wrong(path: &Path, error: &io::Error) -> String {
    format!("Envoy's clusters can't be written to {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_file;
    use crate::routing::registry::Registry;
    use crate::routing::snapshot::ClusterNames;

    fn snapshot(endpoints: &[(&str, &str)]) -> Snapshot {
        let text = crate::envoy::config::tests::policy(endpoints);
        let read = policy_file::read_bytes("test.yaml", text.as_bytes(), &Registry::default());
        Snapshot { cluster_names: ClusterNames::WithOrigin, ..read.expect("a policy").snapshot }
    }

    #[test]
    fn a_file_is_replaced_when_it_says_something_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = ClustersFile::new(directory.path().into(), "/ca.pem".into());
        let (one, two) = (snapshot(&[("a", "url: 'http://a'")]), snapshot(&[("a", "url: 'http://b'")]));
        assert_eq!(file.write(&[&one]), Ok(true));
        assert_eq!(file.write(&[&one]), Ok(false));
        assert_eq!(file.write(&[&two, &one]), Ok(true));
        let text = fs::read_to_string(file.path()).expect("readable");
        for cluster in
            ["name: \"a@http://a:80\"\n  alt_stat_name: a\n", "name: \"a@http://b:80\"\n  alt_stat_name: a\n"]
        {
            assert!(text.contains(cluster), "{text}");
        }
        assert_eq!(file.write(&[&two]), Ok(true));
        assert!(!fs::read_to_string(file.path()).expect("readable").contains("http://a"));
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_written_is_told_with_the_path() {
        let file = ClustersFile::new("/no/such/directory".into(), "/ca.pem".into());
        let problem = file.write(&[&snapshot(&[("a", "url: 'http://a'")])]).expect_err("no directory");
        assert!(problem.contains("/no/such/directory/clusters.yaml: No such file"), "{problem}");
    }
}
