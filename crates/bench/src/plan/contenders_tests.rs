use std::path::Path;

use super::*;
use crate::plan::contender::Contender;
use crate::plan::layout::{Spec, lay_out};
use crate::plan::passes::{Passes, scenarios};
use crate::plan::size::Size;
use crate::plan::target::Target;

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
            "'{cores}' is no field: the fields of a template are {addr}, {port}",
        ),
        (
            command("sh {port} {worker-count}"),
            "'{worker-count}' is no field",
        ),
        (
            command("sh {port} '{ workers }'"),
            "'{ workers }' is no field",
        ),
        (command("sh {port} {workers"), "'{workers' is not closed"),
        (command("sh {port} '{ port'"), "'{port' is not closed"),
        (
            one("command = \"sh {port}\"\nenvironment = { N = \"{cpus\" }"),
            "'{cpus' is not closed",
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

#[test]
fn braces_that_are_no_fields_stay() {
    let command = r#"sh -c '{ exec x {port} "{}"; }' '{\"a\": {\"b\": 1}}'"#;
    let read = parse(&one(&format!("command = '''{command}'''"))).expect("no field");
    let (words, _) = read.rows[0].start.at("81");
    assert_eq!(words[2], r#"{ exec x 81 "{}"; }"#);
    assert!(words[3].contains("{"), "{words:?}");
}

#[test]
fn grids_are_limited_by_their_sum_over_all_files() {
    let folder = std::env::temp_dir().join(format!("contenders-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let many: Vec<String> = (1..=600).map(|n| n.to_string()).collect();
    let files = ["a", "b"].map(|name| {
        let file = folder.join(name);
        let text = format!(
            "[[contender]]\nname = \"{name}\"\ncommand = \"sh {{port}} {{workers}}\"\nworkers = [{}]\n",
            many.join(",")
        );
        std::fs::write(&file, text).expect("written");
        file.to_str().expect("UTF-8").to_owned()
    });
    let one = Contenders::read(&files[..1]).expect("good");
    assert_eq!((one.rows.len(), one.size), (600, 600));
    assert!(one.limited().is_ok());
    // One row of each is enough for an estimate of all.
    let both = Contenders::read(&files).expect("good");
    assert_eq!((both.rows.len(), both.size), (2, 1_200));
    let error = both.limited().expect_err("too many").to_string();
    assert!(error.contains("1200 rows"), "{error}");
    std::fs::remove_dir_all(folder).expect("removed");
}

/// The shipped files, with `sh` before each program, so that they are read where these are not installed.
#[test]
fn every_shipped_file_is_read_and_laid_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/contenders");
    let rows = [
        ("apache", 8),
        ("go", 2),
        ("granian", 4),
        ("gunicorn", 11),
        ("node", 2),
        ("php-fpm", 3),
        ("puma", 6),
        ("python", 2),
        ("uvicorn", 2),
    ];
    let files = std::fs::read_dir(&folder).expect("the folder").flatten();
    let files = files.filter_map(|file| file.file_name().into_string().ok());
    let mut files: Vec<String> = files
        .filter_map(|name| Some(name.strip_suffix(".toml")?.to_owned()))
        .collect();
    files.sort();
    assert_eq!(files, rows.map(|(name, _)| name));
    for (name, rows) in rows {
        let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).expect("a file");
        let own = text.lines().filter_map(|l| l.strip_prefix("command = \""));
        for script in own.filter_map(|command| command.split(' ').next()) {
            assert!(
                !script.contains('/') || folder.join(script).is_file(),
                "{script}"
            );
        }
        let text = text.replace("\ncommand = \"", "\ncommand = \"sh ");
        let read = Contenders::parse(&text, &folder).expect(name);
        assert_eq!(read.rows.len(), rows, "{name}");
        let scenarios: Vec<_> = read
            .paths
            .iter()
            .map(|(scenario, path)| {
                let found = scenarios(scenario).expect(scenario);
                found[0].asking_for(path).expect(path)
            })
            .collect();
        assert_eq!(scenarios.len(), 2, "{name}: cpu and blocking");
        let targets = read.rows.iter().map(Target::started);
        let contenders: Vec<Contender> = targets.map(|t| Contender::target(&t)).collect();
        let visits = lay_out(&Spec {
            size: Size::Quick,
            contenders: &contenders,
            scenarios: &scenarios,
            passes: &Passes::parse("measure").expect("known"),
            seed: 1,
            server_cpus: 1,
            idle: 100,
            rates: &BTreeMap::new(),
            rounds: None,
        });
        for row in &read.rows {
            let own = visits.iter().filter(|v| v.contender.label == row.label);
            let asked: Vec<&str> = own.map(|v| v.scenario.path).collect();
            assert!(asked.contains(&"/cpu/5000") && asked.contains(&"/sleep/20000"));
            let (words, environment) = row.start.at("81");
            let all = words.iter().chain(environment.values());
            assert!(all.clone().any(|word| word.contains("81")), "{words:?}");
            assert!(!all.clone().any(|word| word.contains('{')), "{words:?}");
        }
    }
}
