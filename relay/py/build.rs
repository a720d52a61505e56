//! What the linker must know about a Python module, and what the module says about how it was built.

use std::process::Command;

fn main() {
    pyo3_build_config::add_extension_module_link_args();
    let compiler = std::env::var_os("RUSTC").expect("cargo names its compiler");
    let version = Command::new(compiler).arg("--version").output();
    let version = version.expect("cargo's compiler runs").stdout;
    println!("cargo:rustc-env=COMPILER={}", String::from_utf8_lossy(&version).trim());
    println!(
        "cargo:rustc-env=PLATFORM={}",
        std::env::var("TARGET").expect("cargo names the target")
    );
    println!("cargo:rerun-if-changed=build.rs");
}
