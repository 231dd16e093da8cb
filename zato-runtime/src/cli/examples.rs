//! What the help shows as examples.

/// A line of the command line without the program, and what it does.
type Example = (&'static str, &'static str);

const OF_ALL: [Example; 9] = [
    ("services", "what is linked, and who answers whom"),
    ("invoke zato.ping", "run a service and print its response"),
    ("invoke zato.helpers.echo '{\"id\": 7}'", "with a payload: JSON, or any text"),
    ("invoke zato.helpers.echo --file order.json --async", "the CID at once, then every outcome"),
    ("run zato.helpers.echo --lines orders.jsonl", "one asynchronous invocation for every line"),
    ("serve", "run what is due, until asked to stop"),
    ("invocations --state waiting", "what waits, and what for"),
    ("explain CID", "one invocation, and all that it is a part of"),
    ("dead retry --all", "run everything again that has failed"),
];

/// By command, those that are below another with it.
pub(super) const OF_COMMANDS: [(&str, &[Example]); 7] = [
    (
        "serve",
        &[
            ("serve", "on `zato.db` in the working directory"),
            ("serve --engine sqlite:/var/lib/orders/zato.db", "on another store"),
            ("serve --log warn,my_crate=debug", "with less said, and more of one crate"),
        ],
    ),
    (
        "explain",
        &[
            ("explain 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a", "as a page"),
            ("explain 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a --json", "as a value, with its tree"),
        ],
    ),
    (
        "invocations",
        &[
            ("invocations --state running", "what runs now"),
            ("invocations --service orders.charge --limit 10", "the last ten of one service"),
            ("invocations --json | jq -r .cid", "their CIDs"),
        ],
    ),
    ("dead list", &[("dead list --service orders.charge", "what has failed of one service")]),
    (
        "dead retry",
        &[
            ("dead retry 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a", "this one"),
            ("dead retry --all --service orders.charge", "all that have failed of one service"),
        ],
    ),
    (
        "dead discard",
        &[
            ("dead discard 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a", "this one"),
            ("dead discard --all", "all that there are"),
        ],
    ),
    (
        "cancel",
        &[
            ("cancel 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a", "this one"),
            ("cancel 01a20e3a-f0a4-7000-8191-e3d4f56cdd6a --with-tree", "and all that it has invoked"),
        ],
    ),
];

/// Below the help of the program.
pub(super) fn of_all(program: &str) -> String {
    format!(
        "{}

What is held stands in `zato.db` in the working directory, unless --engine or ZATO_ENGINE names
another store. One process at a time runs what is in it; `invocations`, `explain` and `dead list`
look beside that one.

Exit codes: 0 if all went well, 1 if not, 2 if the command line is faulty.",
        of(program, &OF_ALL)
    )
}

/// Each line, with what it does beside it, or below it where there is no room.
pub(super) fn of(program: &str, lines: &[Example]) -> String {
    /// Where the second column begins, at the most.
    const SECOND: usize = 48;
    let length = |line: &str| 2 + program.chars().count() + 1 + line.chars().count() + 2;
    let fits = |line: &&Example| length(line.0) <= SECOND;
    let second = lines.iter().filter(fits).map(|(line, _)| length(line)).max().unwrap_or(SECOND);
    let mut text = "Examples:".to_owned();
    for (line, does) in lines {
        let line = format!("  {program} {line}");
        text.push('\n');
        if line.chars().count() + 2 > second {
            text.extend([&*line, "\n", &" ".repeat(second), does]);
        } else {
            text.extend([&*line, &" ".repeat(second - line.chars().count()), does]);
        }
    }
    text
}
