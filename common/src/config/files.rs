//! Whether the files that the configuration names are there and can be read: the only step that touches the disk beside
//! reading the configuration itself.
//!
//! Only `bulkhead check` and the launcher take it. A component does not: it may not be allowed to read another one's files.

use super::ledger::Ledger;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;

/// Reports every named file that cannot be read, and warns of secrets that everybody can read.
pub(super) fn check(ledger: &Ledger) {
    for file in ledger.files.borrow().iter() {
        let shown = file.path.display();
        let problem = match File::open(&file.path) {
            Err(error) => Some((format!("the file cannot be opened: {}", say(&error)), reason(&error))),
            Ok(mut open) => match open.metadata() {
                Ok(metadata) if metadata.is_dir() => Some(("this is a directory".to_owned(), None)),
                Ok(metadata) if !metadata.is_file() => Some(("this is not a regular file".to_owned(), None)),
                Ok(metadata) => {
                    if file.secret && metadata.permissions().mode() & 0o007 != 0 {
                        let warning = ledger
                            .warning(file.key, "everybody on this machine can read this secret")
                            .at(&file.span, format!("mode {:04o}", metadata.permissions().mode() & 0o7777))
                            .help(format!("chmod o-rwx {shown}"));
                        ledger.report(warning);
                    }
                    let mut byte = [0_u8];
                    match open.read(&mut byte) {
                        Ok(0) => Some(("the file is empty".to_owned(), None)),
                        Ok(_) => None,
                        Err(error) => Some((format!("the file cannot be read: {}", say(&error)), reason(&error))),
                    }
                }
                Err(error) => Some((format!("the file cannot be read: {}", say(&error)), None)),
            },
        };
        if let Some((what, help)) = problem {
            let mut error = ledger.error(file.key, what).at(&file.span, format!("{shown}"));
            if let Some(help) = help {
                error = error.help(help);
            }
            ledger.report(error);
        }
    }
}

fn say(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn reason(error: &std::io::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::NotFound => Some("a relative path is taken from the directory of the configuration file".to_owned()),
        ErrorKind::PermissionDenied => Some("run the check as the user that starts Bulkhead".to_owned()),
        _ => None,
    }
}
