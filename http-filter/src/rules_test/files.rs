//! Opens the files of corpora and tests, one after the other: what is named is an ordinary file or a folder of such, nothing is followed out of a
//! folder, and nothing is read that is larger than a corpus may be.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::sample::{Label, Sample, Told, from_json, from_wire};

/// Largest line of a corpus, and largest file that is read as a whole, in bytes.
pub const MAX_PIECE: u64 = 32 << 20;
/// Most files under the folders that are named.
const MAX_FILES: usize = 100_000;
/// How deep folders may lie in folders.
const MAX_DEPTH: usize = 16;

/// The files under a path whose names end so, in their order; a path that is a file is taken whatever its name.
///
/// # Errors
/// What cannot be read.
pub fn under(path: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let metadata = path.metadata().map_err(|error| format!("error: {}: {error}", path.display()))?;
    if metadata.is_dir() {
        collect(path, endings, 0, &mut found)?;
        if found.is_empty() {
            return Err(format!("error: {}: no file in it ends with {}", path.display(), endings.join(" or ")));
        }
    } else {
        found.push(path.to_owned());
    }
    Ok(found)
}

fn collect(folder: &Path, endings: &[&str], depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("error: {}: {error}", folder.display());
    let mut entries = folder.read_dir().map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        // Not followed: a link in a stranger's folder may lead anywhere.
        let kind = entry.file_type().map_err(wrong)?;
        let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
        if kind.is_dir() && depth < MAX_DEPTH {
            collect(&entry.path(), endings, depth + 1, found)?;
        } else if kind.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
            if found.len() >= MAX_FILES {
                return Err(format!("error: {}: there are more than {MAX_FILES} files", folder.display()));
            }
            found.push(entry.path());
        }
    }
    Ok(())
}

/// A whole file.
///
/// # Errors
/// That it cannot be read, or is too large.
pub fn whole(path: &Path) -> Result<Vec<u8>, String> {
    let open = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_PIECE + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match open() {
        Ok(bytes) if bytes.len() as u64 > MAX_PIECE => {
            Err(format!("error: {}: larger than {MAX_PIECE} bytes", path.display()))
        }
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(format!("error: {}: {error}", path.display())),
    }
}

/// The names that files of corpora have: lines of JSON, a list in JSON, a request as it goes over the wire.
pub const CORPUS: [&str; 6] = [".jsonl", ".ndjson", ".json", ".http", ".raw", ".txt"];

/// Requests of our own, for a first look at rules: attacks that everybody knows, and harmless ones that hold the same words.
const BUILT_IN: &str = include_str!("corpus.jsonl");

/// What is done with each request: its label, its set, itself.
pub type Each<'a> = &'a mut dyn FnMut(Label, &str, &Told);

/// The requests that are built in.
///
/// # Errors
/// Never, which a test holds.
pub fn built_in(each: Each<'_>) -> Result<(), String> {
    lines(&mut BUILT_IN.as_bytes(), "(built in)", &mut |place, sample| {
        let label = sample.label.ok_or_else(|| format!("error: {place}: no label"))?;
        each(label, sample.set.as_deref().unwrap_or_default(), &sample.told);
        Ok(())
    })
}

/// Calls `each` with every request of a file, its label and its set. What the request does not say, the names of the file and of its folder say.
///
/// # Errors
/// What is wrong, and in which line.
pub fn requests(path: &Path, each: Each<'_>) -> Result<(), String> {
    let name =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let (stem, folder) = (name(path.file_stem()), name(path.parent().and_then(Path::file_name)));
    let usual = Label::find(&stem).or_else(|| Label::find(&folder));
    let mut give = |place: &str, sample: Sample, set: &str| {
        let label = sample.label.or(usual);
        let label = label.ok_or_else(|| {
            format!("error: {place}: is it \"attack\" or \"benign\"? Neither a `label` nor the names of file and folder say it")
        })?;
        each(label, sample.set.as_deref().unwrap_or(set), &sample.told);
        Ok(())
    };
    let shown = path.display().to_string();
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        Some("http" | "raw" | "txt") => {
            let told = from_wire(&whole(path)?).map_err(|error| format!("error: {shown}: {error}"))?;
            // Files of single requests are a set together.
            give(&shown, Sample { label: None, set: None, told }, &folder)
        }
        Some("json") => {
            let bytes = whole(path)?;
            // One value, or lines of them under the wrong name.
            match serde_json::from_slice::<Value>(&bytes) {
                Ok(Value::Array(list)) => list.iter().enumerate().try_for_each(|(number, value)| {
                    let place = format!("{shown}: entry {}", number + 1);
                    let sample = from_json(value).map_err(|error| format!("error: {place}: {error}"))?;
                    give(&place, sample, &stem)
                }),
                _ => lines(&mut bytes.as_slice(), &shown, &mut |place, sample| give(place, sample, &stem)),
            }
        }
        _ => {
            let file = File::open(path).map_err(|error| format!("error: {shown}: {error}"))?;
            lines(&mut BufReader::new(file), &shown, &mut |place, sample| give(place, sample, &stem))
        }
    }
}

type Give<'a> = &'a mut dyn FnMut(&str, Sample) -> Result<(), String>;

fn lines(input: &mut dyn BufRead, shown: &str, give: Give<'_>) -> Result<(), String> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        let place = format!("{shown}:{number}");
        line.clear();
        let read =
            input.take(MAX_PIECE).read_until(b'\n', &mut line).map_err(|error| format!("error: {place}: {error}"))?;
        if read == 0 {
            break;
        }
        if read as u64 >= MAX_PIECE {
            return Err(format!("error: {place}: the line is longer than {MAX_PIECE} bytes"));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let value = serde_json::from_slice(&line).map_err(|error| format!("error: {place}: {error}"))?;
        let sample = from_json(&value).map_err(|error| format!("error: {place}: {error}"))?;
        give(&place, sample)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::fs;

    fn read(path: &Path) -> Result<Vec<(Label, String, usize)>, String> {
        let mut found = Vec::new();
        for file in under(path, &CORPUS)? {
            requests(&file, &mut |label, set, told| found.push((label, set.to_owned(), told.headers.len())))?;
        }
        Ok(found)
    }

    #[test]
    fn folders_of_all_kinds_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("attacks")).unwrap();
        fs::write(at("attacks/1.http"), "GET /?a HTTP/1.1\nHost: h\n\n").unwrap();
        fs::write(at("benign.json"), r#"[{"url": "http://h/x", "headers": {"A": "b"}}]"#).unwrap();
        fs::write(
            at("c.jsonl"),
            "{\"uri\":\"/\",\"label\":\"attack\",\"set\":\"s\"}\n\n{\"uri\":\"/\",\"label\":\"benign\"}\n",
        )
        .unwrap();
        fs::write(at("notes.md"), "not a corpus").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", at("z.txt")).unwrap();
        let found = read(folder.path()).unwrap();
        let expected = [
            (Label::Attack, "attacks".to_owned(), 1),
            (Label::Benign, "benign".to_owned(), 2),
            (Label::Attack, "s".to_owned(), 3),
            (Label::Benign, "c".to_owned(), 3),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn mistakes_have_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, text, what) in [
            ("a.jsonl", "{\"uri\":\"/\",\"label\":\"attack\"}\n{", "a.jsonl:2: "),
            ("b.jsonl", "{\"uri\":\"/\"}", "is it \"attack\" or \"benign\"?"),
            ("attack.json", "[{\"uri\":\"/\"},{}]", "entry 2: `uri` is missing"),
            ("attack.http", "", "METHOD TARGET"),
        ] {
            fs::write(at(name), text).unwrap();
            let error = read(&at(name)).unwrap_err();
            assert!(error.starts_with("error: ") && error.contains(what), "{error}");
        }
        fs::create_dir(at("empty")).unwrap();
        assert!(read(&at("empty")).unwrap_err().contains("no file in it ends with"));
        assert!(read(&at("missing")).is_err());
    }
}
