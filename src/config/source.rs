//! Finding and loading the configuration.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::problem::Problems;
use super::space::Space;

/// A configuration's text and its origin.
pub(super) struct ConfigSource {
    pub(super) text: String,
    /// Its name in problems.
    pub(super) name: String,
    pub(super) file: Option<PathBuf>,
}

/// Loads the file at `path`, which must exist, or the one at `usual`, which need not exist if
/// the environment has settings.
pub(super) fn find(
    path: Option<&Path>,
    usual: &Path,
    environment: &Environment,
) -> Result<ConfigSource, Problems> {
    let file = path.unwrap_or(usual);
    let name = file.display().to_string();
    let kind = match std::fs::read_to_string(file) {
        Ok(text) => return Ok(ConfigSource { text, name, file: Some(file.to_owned()) }),
        Err(error) => error.kind(),
    };
    let enough = path.is_none() && (Space::is_present(environment) || environment.configures());
    let message = match kind {
        ErrorKind::NotFound if enough => {
            return Ok(ConfigSource { text: String::new(), name: "environment".to_owned(), file: None });
        }
        ErrorKind::NotFound if path.is_none() => {
            "does not exist, and no HUGGATE_ variables are set; name a file with \
             --config, or start from the annotated config.toml in huggate's repository"
                .to_owned()
        }
        ErrorKind::NotFound => "does not exist".to_owned(),
        ErrorKind::InvalidData => "cannot be read: it is not UTF-8".to_owned(),
        kind => format!("cannot be read: {kind}"),
    };
    Err(Problems::one(&name, message))
}
