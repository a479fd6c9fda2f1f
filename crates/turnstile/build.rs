//! Hands the linker the order of what a request runs; see `request.ld`.

fn main() {
    println!("cargo:rerun-if-changed=request.ld");
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{here}/request.ld");
}
