//! Result files to Markdown, HTML and SVG.

pub mod data;
