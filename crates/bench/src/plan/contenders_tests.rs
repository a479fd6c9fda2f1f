use std::path::Path;

use super::*;

fn parse(text: &str) -> anyhow::Result<Contenders> {
    Contenders::parse(text, Path::new("/"))
}

fn one(line: &str) -> String {
    format!("[[contender]]\nname = \"a\"\n{line}\n")
}

#[test]
fn a_grid_is_a_row_for_each_pair() {
    let file = r#"
        [paths]
        cpu = "/cpu/5000"
        [[contender]]
        name = "g"
        command = "sh -c 'exec x \"y z\"' {addr}:{port} -w {workers} -t {threads}"
        workers = [1, 2]
        threads = [1, 8, 32]
        environment = { N = "{workers}" }
        ready = { line = "Listening" }
        [[contender]]
        name = "h"
        command = "sh {port} {workers}"
        workers = 4
        ready = { path = "/x" }
        ready_within_s = 2.5
    "#;
    let read = parse(file).expect("good");
    let labels: Vec<&str> = read.rows.iter().map(|row| row.label.as_str()).collect();
    assert_eq!(
        labels,
        [
            "g w1 t1", "g w1 t8", "g w1 t32", "g w2 t1", "g w2 t8", "g w2 t32", "h"
        ]
    );
    assert_eq!(read.paths["cpu"], "/cpu/5000");
    let (words, environment) = read.rows[5].start.at("81");
    assert_eq!(
        words,
        [
            "sh",
            "-c",
            "exec x \"y z\"",
            "127.0.0.1:81",
            "-w",
            "2",
            "-t",
            "32"
        ]
    );
    assert_eq!(environment["N"], "2");
    assert_eq!(read.rows[6].start.command(), "sh PORT 4");
    assert_eq!(read.rows[6].start.ready, Ready::Path("/x".into()));
    assert_eq!(read.rows[6].start.within, Duration::from_millis(2_500));
}

#[test]
fn a_program_that_runs_on_any_model_has_a_row_for_each() {
    let read = parse(&one(
        "command = \"sh --model {model} {port} {workers}\"\nmodels = [\"prefork\", \"thread-pool:accept\"]\nworkers = [1, 2]",
    ))
    .expect("good");
    let labels: Vec<&str> = read.rows.iter().map(|row| row.label.as_str()).collect();
    assert_eq!(
        labels,
        [
            "a w1 prefork",
            "a w2 prefork",
            "a w1 thread-pool:accept",
            "a w2 thread-pool:accept"
        ]
    );
    assert_eq!(
        read.rows[2].start.command(),
        "sh --model thread-pool:accept PORT 1"
    );
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let command = |command: &str| one(&format!("command = {command:?}"));
    for (text, says) in [
        (String::new(), "line 1: missing field `contender`"),
        ("contender = []".into(), "it names no contender"),
        (one("comand = 3"), "unknown field `comand`"),
        (command(""), "the command is empty"),
        (
            command("sh 'x {port}"),
            "a quote of the command is not closed",
        ),
        (
            command("no-such-server {port}"),
            "there is no command 'no-such-server'",
        ),
        (
            command("./no-such-server {port}"),
            "there is no command './no-such-server'",
        ),
        (
            command("sh {port} {cores}"),
            "'{cores}' is no field of a template",
        ),
        (command("sh {port} {workers}"), "workers is not given"),
        (command("sh {port} {model}"), "models is not given"),
        (
            one("command = \"sh {port}\"\nmodels = [\"prefork\"]"),
            "has no {model}",
        ),
        (
            one("command = \"sh {port} {model}\"\nmodels = [\"--help x\"]"),
            "is no name of a model",
        ),
        (command("sh 8000"), "has {port}"),
        (
            one("command = \"sh {port}\"\nthreads = 3"),
            "has no {threads}",
        ),
        (
            one("command = \"sh {port} {threads}\"\nthreads = [0]"),
            "threads = 0",
        ),
        (
            one("command = \"sh {port}\"\nready_within_s = 1e9"),
            "ready_within_s",
        ),
        (one("command = \"sh {port}\"\nready = \"x\""), "line"),
        (
            format!("{}{}", command("sh {port}"), command("sh {port}")),
            "the name 'a' is given twice",
        ),
        (
            format!("[paths]\ncpu = \"x\"\n{}", command("sh {port}")),
            "is not a path",
        ),
    ] {
        let error = format!("{:#}", parse(&text).expect_err(&text));
        assert!(
            error.contains(says) && error.lines().count() == 1,
            "{text}: {error}"
        );
    }
}

#[test]
fn a_grid_that_explodes_is_refused_before_it_is_laid_out() {
    let many: Vec<String> = (1..=2_000).map(|n| n.to_string()).collect();
    let many = many.join(",");
    let text = one(&format!(
        "command = \"sh {{port}} {{workers}} {{threads}}\"\nworkers = [{many}]\nthreads = [{many}]"
    ));
    let error = parse(&text).expect_err("too many").to_string();
    assert!(error.contains("4000000 rows"), "{error}");
}
