//! Completions for bash, zsh and fish, from the forms of the command line and the keys of the configuration.

use std::collections::BTreeSet;

use common::config::reference::keys;

use crate::usage::{FORMS, Form, Kind, PLACES, Word};

const MADE: &str = "Drawn by src/manual from the tables of the code: BLESS=1 cargo test -p bulkhead manual";

/// The verbs with their first meaning, in the order of the usage.
fn verbs() -> Vec<(&'static str, &'static str)> {
    let mut verbs: Vec<(&str, &str)> = Vec::new();
    for form in FORMS {
        if !verbs.iter().any(|(verb, _)| *verb == form.verb) {
            verbs.push((form.verb, form.meaning));
        }
    }
    verbs
}

fn forms(verb: &str) -> impl Iterator<Item = &'static Form> {
    FORMS.iter().filter(move |form| form.verb == verb)
}

/// The flags of a verb, what each takes, and what it means.
fn flags(verb: &str) -> Vec<(&'static str, Option<Takes>, &'static str)> {
    let mut flags: Vec<(&str, Option<Takes>, &str)> = Vec::new();
    for form in forms(verb) {
        for word in form.words {
            match *word {
                Word::Mode(flag) => flags.push((flag, None, form.meaning)),
                Word::Flag(flag, meaning) => flags.push((flag, None, meaning)),
                Word::Setting(flag, value, meaning) | Word::Settings(flag, value, meaning) => {
                    flags.push((flag, Some(takes(value.kind)), meaning));
                }
                Word::Where | Word::Place => {
                    let takes = [Takes::Files, Takes::Folders];
                    flags.extend(
                        PLACES.iter().zip(takes).map(|((flag, _, meaning), takes)| (*flag, Some(takes), *meaning)),
                    );
                }
                _ => {}
            }
        }
    }
    let mut seen = BTreeSet::new();
    flags.retain(|(flag, ..)| seen.insert(*flag));
    flags
}

/// What may stand without a flag behind a verb.
fn operands(verb: &str) -> Vec<Takes> {
    let operand = |word: &Word| match word {
        Word::Literal(word) => Some(Takes::Words((*word).to_owned())),
        Word::Needed(value) | Word::Optional(value) => Some(takes(value.kind)),
        Word::Where => Some(Takes::Files),
        _ => None,
    };
    let mut all: Vec<Takes> = Vec::new();
    for takes in forms(verb).flat_map(|form| form.words).filter_map(operand) {
        if takes != Takes::Anything && !all.contains(&takes) {
            all.push(takes);
        }
    }
    all
}

/// What completes a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Takes {
    Files,
    Folders,
    /// One of these, with blanks between them.
    Words(String),
    Anything,
}

fn takes(kind: Kind) -> Takes {
    match kind {
        Kind::Config | Kind::File => Takes::Files,
        Kind::Key => Takes::Words(keys().map(|key| key.path).collect::<Vec<_>>().join(" ")),
        Kind::Verb => Takes::Words(verbs().iter().map(|(verb, _)| *verb).collect::<Vec<_>>().join(" ")),
        Kind::Choice(words) => Takes::Words(words.join(" ")),
        Kind::Text(_) => Takes::Anything,
    }
}

/// For bash: one function, a `case` per verb.
pub fn bash() -> String {
    let names: Vec<&str> = verbs().iter().map(|(verb, _)| *verb).collect();
    let mut text = format!(
        "# bash completion for bulkhead\n# {MADE}\n\n_bulkhead() {{\n    \
         local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}\n    COMPREPLY=()\n    \
         if [ \"$COMP_CWORD\" -eq 1 ]; then\n        mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$current\")\n        return\n    fi\n    \
         case ${{COMP_WORDS[1]}}:$before in\n",
        names.join(" ")
    );
    for (verb, _) in verbs() {
        for (flag, takes, _) in flags(verb) {
            if let Some(takes) = takes {
                text.push_str(&format!("    {verb}:{flag}) {}; return ;;\n", bash_reply(&takes)));
            }
        }
    }
    text.push_str("    esac\n    case ${COMP_WORDS[1]}:$current in\n");
    for (verb, _) in verbs() {
        let flags: Vec<&str> = flags(verb).iter().map(|(flag, ..)| *flag).collect();
        if !flags.is_empty() {
            text.push_str(&format!("    {verb}:-*) {} ;;\n", bash_reply(&Takes::Words(flags.join(" ")))));
        }
        let (mut words, mut files) = (Vec::new(), false);
        for takes in operands(verb) {
            match takes {
                Takes::Words(list) => words.push(list),
                _ => files = true,
            }
        }
        let mut replies = Vec::new();
        if !words.is_empty() {
            replies.push(bash_reply(&Takes::Words(words.join(" "))));
        }
        if files {
            replies.push(bash_reply(&Takes::Files));
        }
        if !replies.is_empty() {
            text.push_str(&format!("    {verb}:*) {} ;;\n", replies.join("; ")));
        }
    }
    text.push_str("    esac\n}\n\ncomplete -F _bulkhead bulkhead\n");
    text
}

fn bash_reply(takes: &Takes) -> String {
    match takes {
        Takes::Files => {
            "compopt -o default 2>/dev/null; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$current\")"
                .to_owned()
        }
        Takes::Folders => {
            "compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$current\")".to_owned()
        }
        Takes::Words(words) => format!("mapfile -t COMPREPLY < <(compgen -W '{words}' -- \"$current\")"),
        Takes::Anything => ":".to_owned(),
    }
}

/// For zsh: `_arguments` per verb.
pub fn zsh() -> String {
    let mut text = format!("#compdef bulkhead\n# {MADE}\n\n_bulkhead() {{\n    local -a verbs\n    verbs=(\n");
    for (verb, meaning) in verbs() {
        text.push_str(&format!("        '{verb}:{}'\n", quoted(meaning)));
    }
    text.push_str(
        "    )\n    if (( CURRENT == 2 )); then\n        _describe verb verbs\n        return\n    fi\n    \
         local verb=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $verb in\n",
    );
    for (verb, _) in verbs() {
        text.push_str(&format!("    {verb})\n        _arguments"));
        for (flag, takes, meaning) in flags(verb) {
            let value = takes.map(|takes| format!(":value:{}", zsh_action(&takes))).unwrap_or_default();
            text.push_str(&format!(" \\\n            '*{flag}[{}]{value}'", quoted(meaning).replace(['[', ']'], "")));
        }
        let mut actions: Vec<String> = operands(verb).iter().map(zsh_action).collect();
        if actions.len() > 1 {
            // The first that has something to offer.
            actions = vec![format!("{{{}}}", alternatives(&operands(verb)))];
        }
        match actions.first() {
            Some(action) => text.push_str(&format!(" \\\n            '*:word:{action}'\n")),
            None => text.push_str(" \\\n            '*:word: '\n"),
        }
        text.push_str("        ;;\n");
    }
    text.push_str("    esac\n}\n\n_bulkhead \"$@\"\n");
    text
}

fn alternatives(all: &[Takes]) -> String {
    let one = |takes: &Takes| match takes {
        Takes::Words(words) => format!("compadd -- {words}"),
        _ => "_files".to_owned(),
    };
    all.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn zsh_action(takes: &Takes) -> String {
    match takes {
        Takes::Files => "_files".to_owned(),
        Takes::Folders => "_files -/".to_owned(),
        Takes::Words(words) => format!("({words})"),
        Takes::Anything => " ".to_owned(),
    }
}

/// For fish: a `complete` per thing.
pub fn fish() -> String {
    let mut text = format!("# fish completion for bulkhead\n# {MADE}\n\ncomplete -c bulkhead -f\n");
    for (verb, meaning) in verbs() {
        text.push_str(&format!("complete -c bulkhead -n __fish_use_subcommand -a {verb} -d '{}'\n", quoted(meaning)));
    }
    for (verb, _) in verbs() {
        let seen = format!("complete -c bulkhead -n '__fish_seen_subcommand_from {verb}'");
        for (flag, takes, meaning) in flags(verb) {
            let value = match &takes {
                None => String::new(),
                Some(Takes::Files) => " -r -F".to_owned(),
                Some(Takes::Folders) => " -x -a '(__fish_complete_directories)'".to_owned(),
                Some(Takes::Words(words)) => format!(" -x -a '{words}'"),
                Some(Takes::Anything) => " -x".to_owned(),
            };
            text.push_str(&format!("{seen} -l {}{value} -d '{}'\n", flag.trim_start_matches("--"), quoted(meaning)));
        }
        for takes in operands(verb) {
            match takes {
                Takes::Words(words) => text.push_str(&format!("{seen} -a '{words}'\n")),
                _ => text.push_str(&format!("{seen} -F\n")),
            }
        }
    }
    text
}

/// Inside single quotes, where `:` would separate.
fn quoted(text: &str) -> String {
    text.replace(['\'', '`'], "").replace(':', " -")
}
