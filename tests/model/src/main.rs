//! Explores the larger worlds and says how many states each has: `cargo run -p keyward-model --release`. A word as argument
//! picks the worlds whose name contains it; `small` stands for the worlds of the tests. Ends with 1 where a property does not hold.

use std::{
    io::{self, Write},
    process::ExitCode,
    thread,
    time::Instant,
};

use keyward_model::{
    explore::{self, Exploration},
    worlds,
};

fn main() -> io::Result<ExitCode> {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let worlds = if wanted == "small" {
        worlds::small()
    } else {
        worlds::large().into_iter().filter(|world| world.about.contains(&wanted)).collect()
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut out = io::stdout().lock();
    let mut code = ExitCode::SUCCESS;
    let mut all = 0;
    for world in worlds {
        let start = Instant::now();
        let Exploration { states, steps, depth, broken, seen } = explore::explore(world.scope, threads);
        all += states;
        writeln!(out, "{}: {states} states, {steps} steps, depth {depth}, {:.1} s", world.about, start.elapsed().as_secs_f64())?;
        for name in seen {
            writeln!(out, "    seen: {name}")?;
        }
        for (name, history) in broken {
            code = ExitCode::FAILURE;
            writeln!(out, "    BROKEN: {name}")?;
            for step in history {
                writeln!(out, "        {step}")?;
            }
        }
    }
    writeln!(out, "{all} states in all")?;
    Ok(code)
}
