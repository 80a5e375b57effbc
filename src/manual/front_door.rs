//! bulkhead(1), from the forms of the command line.

use super::roff::Page;
use crate::usage::FORMS;

/// The page.
pub fn page() -> String {
    let mut page = Page::new("bulkhead", 1, "reverse and forward proxy in five separate processes");
    page.section("SYNOPSIS").first("`bulkhead` VERB [WORDS]");
    page.section("DESCRIPTION").first(
        "Bulkhead is a proxy whose parts are processes of their own, each behind a sandbox of its own: who reads names has no keys, who \
         has keys has no network, who reads HTTP cannot connect. This program is the front door: it judges the configuration, asks the \
         running processes and gives them orders. It never touches a byte of a client.",
    );
    page.text(
        "Under systemd the units start the processes: `bulkhead.target` is all of them. Elsewhere `bulkhead up` does.",
    );
    page.section("VERBS");
    for form in FORMS {
        let words: Vec<String> = form.shown().collect();
        page.part(&format!("{} {}", form.begin(), words.join(" ")));
        page.first(&sentence(form.meaning));
        if !form.long.is_empty() {
            page.text(form.long);
        }
        for (flag, meaning) in form.words.iter().flat_map(crate::usage::Word::flags) {
            page.term(&format!("`{flag}`"), meaning);
        }
    }
    page.section("WHERE").first(
        "Which processes are meant: `CONFIG` or `--config CONFIG`, those of a configuration, or `--runtime-dir DIR`, those whose \
         sockets lie in a folder. Without it the configuration is `/etc/bulkhead/bulkhead.toml`. Orders are heard from root or from \
         the user who started the processes; the group `bulkhead-observe` may ask for figures.",
    );
    page.section("EXIT STATUS");
    page.term("0", "All is well.");
    page.term("1", "Something is wrong; standard error says what, and what to do.");
    page.term("64", "The command line was not understood.");
    files(&mut page);
    page.section("EXAMPLES").first("The first start after an installation:");
    page.lines(&[
        "editor /etc/bulkhead/bulkhead.toml",
        "bulkhead check /etc/bulkhead/bulkhead.toml",
        "systemctl start bulkhead.target",
        "bulkhead status",
    ]);
    page.text("What would become of a request, and why:");
    page.lines(&["bulkhead explain https://shop.example/cart --from 192.0.2.7"]);
    page.section("SEE ALSO").first(
        "`bulkhead.toml`(5), `bulkhead-sni-router`(8), `bulkhead-passthrough-relay`(8), `bulkhead-tls-terminator`(8), \
         `bulkhead-http-filter`(8), `bulkhead-forward-proxy`(8), `systemctl`(1)",
    );
    page.end()
}

fn files(page: &mut Page) {
    page.section("FILES");
    page.term("`/etc/bulkhead/bulkhead.toml`", "The configuration; as installed it refuses everything.");
    page.term(
        "`/etc/bulkhead/secrets/PROCESS`",
        "Private keys and password hashes, for root alone; systemd gives each process a copy of its own ones.",
    );
    page.term("`/run/bulkhead`", "The sockets between the processes, and those on which they are asked.");
    page.term("`/usr/lib/bulkhead`", "The programs, and `after-upgrade`, which a new release calls.");
    page.term("`/usr/share/doc/bulkhead`", "Operations, the units line by line, examples.");
}

/// A line of the usage as a sentence.
fn sentence(line: &str) -> String {
    let mut letters = line.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
