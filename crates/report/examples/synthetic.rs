//! Writes a synthetic run with everything a run can hold and its report, to look at: `synthetic DIR [SIZE [BLOCKS]]`.

use std::path::PathBuf;

#[path = "../tests/fixture/mod.rs"]
mod fixture;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "synthetic".to_owned()));
    let size = args.next().unwrap_or_else(|| "full".to_owned());
    let blocks = args.next().map_or(Ok(10), |text| text.parse())?;
    let (env, trials) = fixture::wide::run(&size, blocks, 42);
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("env.json"), serde_json::to_string_pretty(&env)?)?;
    std::fs::write(dir.join("trials.ndjson"), fixture::ndjson(&trials))?;
    report::write(&dir)
}
