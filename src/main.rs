//! The command `nodewright`.

use std::process::ExitCode;

fn main() -> ExitCode {
    nodewright::cli::main()
}
