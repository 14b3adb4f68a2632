//! `cargo run --package keyward-e2e --bin streaming [MiB]`: what an edge's process takes while bodies of 2 GiB, or of another size, go through it
//! both ways.

use std::{env, process::ExitCode, time::Duration};

use keyward_e2e::{World, origin::Origin, stream};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the numbers are what this is for")]
async fn main() -> ExitCode {
    let Ok(mib) = env::args().nth(1).map_or(Ok(2048), |size| size.parse::<u64>()) else {
        println!("the size must be a number of MiB");
        return ExitCode::FAILURE;
    };
    let mut origin = Origin::start().await;
    let url = origin.url().to_owned();
    let world = World::with(|options| options.origin = Some(url)).await;
    let stall = Duration::from_secs(2);
    println!("upload: {}", stream::upload(&world, &mut origin, mib << 20, stall).await);
    println!("download: {}", stream::download(&world, &mut origin, mib << 20, stall).await);
    world.system.stop().await;
    ExitCode::SUCCESS
}
