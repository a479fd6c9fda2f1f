//! Servers that the bench starts by a command: `--contenders FILE`.
//!
//! ```toml
//! [paths]                       # what scenarios ask for, of every row, where it is not their own path
//! cpu = "/cpu/5000"
//!
//! [[contender]]
//! name = "gunicorn-gthread"
//! command = "gunicorn --bind {addr}:{port} --workers {workers} --threads {threads} app:application"
//! workers = [1, 2]              # a grid: a row for each pair
//! threads = [1, 8, 32]
//! environment = { WEB_CONCURRENCY = "1" }
//! ready = { path = "/plaintext" }   # or { line = "Listening at" }, or { port = true }
//! path = "/"                    # asked for where a scenario asks for no more than a small reply
//! ```
//!
//! `models = ["prefork", "thread-pool"]` with `{model}` in the command is a dimension of the grid, too, for
//! programs that run on any model of Turnstile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use report::data::Grid;
use serde::Deserialize;

use crate::failure::Failure;
use crate::plan::words::words;

/// More rows than this are not measured without `--yes`.
pub const ROWS_MAX: u64 = 40;
/// More are never measured.
pub const ROWS_LIMIT: u64 = 1_000;
/// What a template is filled in with.
const FIELDS: [&str; 5] = ["addr", "port", "model", "workers", "threads"];
/// How long a server may take to become ready, unless its file says otherwise.
const READY_S: f64 = 15.0;
/// The most that a file may say.
const READY_S_MAX: f64 = 600.0;

/// A file of contenders.
#[derive(Debug, Clone, Default)]
pub struct Contenders {
    /// Paths that scenarios ask for, by the scenario's name.
    pub paths: BTreeMap<String, String>,
    /// The rows; of grids that are larger than can be measured, the first of each contender.
    pub rows: Vec<Row>,
    /// How many rows the grids of all files have.
    pub size: u64,
}

/// A server as a row of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What the report calls it: its name, and what it has of the grid.
    pub label: String,
    /// Asked for in place of `/plaintext`.
    pub path: Option<String>,
    /// Its workers, where they are in the command.
    pub workers: Option<u32>,
    /// Its threads per worker, where they are in the command.
    pub threads: Option<u32>,
    /// Its size, where the file asks for several.
    pub grid: Option<Grid>,
    /// How it is started.
    pub start: Start,
}

/// How a server is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The command, in words, with `{addr}` and `{port}` to be filled in.
    words: Vec<String>,
    /// Where it is started: the folder of the file.
    pub folder: PathBuf,
    /// What its environment has in addition.
    pub environment: BTreeMap<String, String>,
    /// How it is seen to be ready.
    pub ready: Ready,
    /// How long that may take.
    pub within: Duration,
}

/// How a server is seen to be ready.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// This path is answered with a status below 500.
    Path(String),
    /// It prints a line that holds this text.
    Line(String),
    /// Its port takes connections.
    Port(bool),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    paths: BTreeMap<String, String>,
    contender: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    command: String,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    workers: Numbers,
    #[serde(default)]
    threads: Numbers,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    ready: Option<Ready>,
    ready_within_s: Option<f64>,
    path: Option<String>,
}

/// A number, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Numbers {
    One(u32),
    Several(Vec<u32>),
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Numbers {
    fn list(&self) -> Vec<u32> {
        match self {
            Self::One(number) => vec![*number],
            Self::Several(numbers) => numbers.clone(),
        }
    }
}

impl Contenders {
    /// Reads the files.
    pub fn read(files: &[String]) -> Result<Self, Failure> {
        let mut all = Self::default();
        let mut read = Vec::new();
        for name in files {
            let bad = |error: anyhow::Error| bad(name, &error);
            let path = Path::new(name);
            let text = std::fs::read_to_string(path).map_err(|error| bad(error.into()))?;
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            let folder = folder.canonicalize().map_err(|error| bad(error.into()))?;
            let file = File::parse(&text).map_err(bad)?;
            all.size = all.size.saturating_add(file.size());
            read.push((name, folder, file));
        }
        for (name, folder, file) in read {
            all.add(file, &folder, all.size)
                .map_err(|error| bad(name, &error))?;
        }
        Ok(all)
    }

    /// Reads one file that lies in `folder`, whose rows can all be measured.
    #[cfg(test)]
    fn parse(text: &str, folder: &Path) -> anyhow::Result<Self> {
        let file = File::parse(text)?;
        let size = file.size();
        let mut one = Self {
            size,
            ..Self::default()
        };
        one.add(file, folder, size)?;
        one.limited()?;
        Ok(one)
    }

    /// Refuses grids that cannot be measured.
    pub fn limited(&self) -> anyhow::Result<()> {
        let rows = self.size;
        ensure!(
            rows <= ROWS_LIMIT,
            "the grids have {rows} rows, more than the {ROWS_LIMIT} that can be measured"
        );
        Ok(())
    }

    /// Adds the rows and the paths of a file. Where there are too many rows in all, what is laid out is one
    /// of each contender, by which the rest is estimated.
    fn add(&mut self, mut file: File, folder: &Path, size: u64) -> anyhow::Result<()> {
        if size > ROWS_LIMIT {
            file.contender.iter_mut().for_each(Entry::keep_first);
        }
        for entry in &file.contender {
            let rows = entry.rows(folder);
            let rows = rows.with_context(|| format!("contender '{}'", entry.name))?;
            for row in rows {
                let again = self.rows.iter().any(|other| other.label == row.label);
                ensure!(!again, "the name '{}' is given twice", row.label);
                self.rows.push(row);
            }
        }
        for (scenario, path) in file.paths {
            let other = self.paths.get(&scenario).filter(|other| **other != path);
            if let Some(other) = other {
                bail!("{scenario} asks for {path} here and for {other} in another file");
            }
            self.paths.insert(scenario, path);
        }
        Ok(())
    }
}

fn bad(name: &str, error: &anyhow::Error) -> Failure {
    Failure::usage(format!("--contenders {name}: {error:#}"))
}

impl File {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let file: Self = toml::from_str(text).map_err(|error| {
            // The line that the parser draws below takes several.
            let at = error.span().map_or(0, |span| span.start);
            let line = text
                .get(..at)
                .map_or(1, |before| before.lines().count().max(1));
            let what = error
                .message()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            anyhow::anyhow!("line {line}: {what}")
        })?;
        ensure!(!file.contender.is_empty(), "it names no contender");
        for (scenario, path) in &file.paths {
            ensure!(
                path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic()),
                "'{path}', the path of {scenario}, is not a path"
            );
        }
        Ok(file)
    }

    /// The number of its rows.
    fn size(&self) -> u64 {
        let sizes = self.contender.iter().map(Entry::size);
        sizes.fold(0, u64::saturating_add)
    }
}

impl Entry {
    /// Leaves its first row.
    fn keep_first(&mut self) {
        self.models.truncate(1);
        for numbers in [&mut self.workers, &mut self.threads] {
            if let Numbers::Several(several) = numbers {
                several.truncate(1);
            }
        }
    }

    /// The number of its rows.
    fn size(&self) -> u64 {
        let count = |numbers: &Numbers| numbers.list().len().max(1) as u64;
        let models = self.models.len().max(1) as u64;
        count(&self.workers)
            .saturating_mul(count(&self.threads))
            .saturating_mul(models)
    }

    fn rows(&self, folder: &Path) -> anyhow::Result<Vec<Row>> {
        let plain = !self.name.is_empty() && !self.name.contains(char::is_control);
        ensure!(
            plain && self.name != "null",
            "'{}' is not a name",
            self.name
        );
        let words = words(&self.command, false);
        let words = words.context("a quote of the command is not closed")?;
        let program = words.first().context("the command is empty")?;
        ensure!(
            !program.contains('{'),
            "the program itself is a template: {program}"
        );
        find(program, folder)?;
        for word in &words {
            check_fields(word)?;
        }
        ensure!(
            self.command.contains("{port}")
                || self.environment.values().any(|v| v.contains("{port}")),
            "neither the command nor the environment has {{port}}, so it cannot be told where to listen"
        );
        for value in self.environment.values() {
            check_fields(value)?;
        }
        let within = self.ready_within_s.unwrap_or(READY_S);
        ensure!(
            within > 0.0 && within <= READY_S_MAX,
            "ready_within_s = {within}: more than 0 and at most {READY_S_MAX}"
        );
        ensure!(self.ready != Some(Ready::Port(false)), "ready: port = true");
        let workers = self.grid("workers", &self.workers)?;
        let threads = self.grid("threads", &self.threads)?;
        let mut rows = Vec::new();
        for model in self.models()? {
            for workers in &workers {
                for threads in &threads {
                    let row = self.row(&words, folder, *workers, *threads, within);
                    rows.push(row.on(model));
                }
            }
        }
        Ok(rows)
    }

    /// The models, `None` where the command has no `{model}`.
    fn models(&self) -> anyhow::Result<Vec<Option<&str>>> {
        for model in &self.models {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_:".contains(&b);
            ensure!(
                !model.is_empty() && model.bytes().all(plain),
                "models: '{model}' is no name of a model"
            );
        }
        self.filling("model", "models", self.models.iter().map(String::as_str))
    }

    /// The values of a field, `None` where the command has none.
    fn grid(&self, field: &str, numbers: &Numbers) -> anyhow::Result<Vec<Option<u32>>> {
        let list = numbers.list();
        ensure!(!list.contains(&0), "{field} = 0 is no number of {field}");
        self.filling(field, field, list.into_iter())
    }

    /// What `{field}` is filled with, of the `values` that the file gives as `key`.
    fn filling<T>(
        &self,
        field: &str,
        key: &str,
        values: impl ExactSizeIterator<Item = T>,
    ) -> anyhow::Result<Vec<Option<T>>> {
        let used = |text: &String| text.contains(&format!("{{{field}}}"));
        let used = used(&self.command) || self.environment.values().any(used);
        match (used, values.len() == 0) {
            (true, true) => bail!("the command has {{{field}}}, and {key} is not given"),
            (false, false) => bail!("{key} is given, and the command has no {{{field}}}"),
            (false, true) => Ok(vec![None]),
            (true, false) => Ok(values.map(Some).collect()),
        }
    }

    /// The place of a size in the grid; `None` where there is one size only. With several models each has a
    /// grid of its own, named by [`Row::on`].
    fn place(&self, workers: Option<u32>, threads: Option<u32>) -> Option<Grid> {
        let several =
            |value: Option<u32>, numbers: &Numbers| value.filter(|_| numbers.list().len() > 1);
        let workers = several(workers, &self.workers);
        let threads = several(threads, &self.threads);
        (workers.is_some() || threads.is_some()).then(|| Grid {
            name: self.name.clone(),
            workers,
            threads,
        })
    }

    fn row(
        &self,
        words: &[String],
        folder: &Path,
        workers: Option<u32>,
        threads: Option<u32>,
        within: f64,
    ) -> Row {
        let mut label = self.name.clone();
        for (field, value, numbers) in
            [("w", workers, &self.workers), ("t", threads, &self.threads)]
        {
            if let Some(value) = value.filter(|_| matches!(numbers, Numbers::Several(_))) {
                label.push_str(&format!(" {field}{value}"));
            }
        }
        let fill = |text: &String| {
            let number = |n: Option<u32>| n.map_or_else(String::new, |n| n.to_string());
            text.replace("{workers}", &number(workers))
                .replace("{threads}", &number(threads))
        };
        let environment = self.environment.iter();
        Row {
            label,
            path: self.path.clone(),
            workers,
            threads,
            grid: self.place(workers, threads),
            start: Start {
                words: words.iter().map(fill).collect(),
                folder: folder.to_owned(),
                environment: environment.map(|(k, v)| (k.clone(), fill(v))).collect(),
                ready: self.ready.clone().unwrap_or(Ready::Port(true)),
                within: Duration::from_secs_f64(within),
            },
        }
    }
}

impl Row {
    /// The same row for a model: its label says so, and its command and environment name it.
    fn on(mut self, model: Option<&str>) -> Row {
        let Some(model) = model else {
            return self;
        };
        let fill = |text: &mut String| *text = text.replace("{model}", model);
        self.start.words.iter_mut().for_each(fill);
        self.start.environment.values_mut().for_each(fill);
        self.label = format!("{} {model}", self.label);
        if let Some(grid) = &mut self.grid {
            grid.name = format!("{} {model}", grid.name);
        }
        self
    }
}

impl Start {
    /// The command and its environment for a server that is to listen on `port`.
    pub fn at(&self, port: &str) -> (Vec<String>, BTreeMap<String, String>) {
        let fill = |text: &String| text.replace("{addr}", "127.0.0.1").replace("{port}", port);
        let words = self.words.iter().map(fill).collect();
        let environment = self.environment.iter();
        (
            words,
            environment.map(|(k, v)| (k.clone(), fill(v))).collect(),
        )
    }

    /// The command as it is recorded: without the port, which differs from start to start.
    pub fn command(&self) -> String {
        let (words, environment) = self.at("PORT");
        let set = environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        set.chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// Finds fields of a template that are not known. A brace that begins no word, as in JSON or in a shell's
/// `{ a; }`, stays as it is.
fn check_fields(text: &str) -> anyhow::Result<()> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_name = |name: &str| !name.is_empty() && name.chars().all(is_part);
    for part in text.split('{').skip(1) {
        let known = "the fields of a template are {addr}, {port}, {model}, {workers}, {threads}";
        match part.split_once('}') {
            Some((field, _)) => ensure!(
                FIELDS.contains(&field) || !is_name(field.trim()),
                "'{{{field}}}' is no field: {known}"
            ),
            None => {
                let rest = part.trim_start();
                let name = rest.split(|c| !is_part(c)).next().unwrap_or_default();
                // Of a shell's group a command may come next, behind a blank.
                let is_meant = FIELDS.contains(&name) || (rest == part && is_name(name));
                ensure!(!is_meant, "'{{{name}' is not closed: {known}");
            }
        }
    }
    Ok(())
}

/// Finds the program, so that one that is missing is said before anything runs.
fn find(program: &str, folder: &Path) -> anyhow::Result<()> {
    let found = if program.contains('/') {
        folder.join(program).is_file()
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    ensure!(found, "there is no command '{program}'");
    Ok(())
}

#[cfg(test)]
#[path = "contenders_tests.rs"]
mod tests;
