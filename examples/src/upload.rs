//! Writes request bodies to files, by blocking reads and in constant memory.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gateway_core::http::{Method, StatusCode, header::ALLOW};
use gateway_core::{Application, Environ, Input, IntoApplication, Response, Result, StartResponse};

/// Takes uploads into the directory that `UPLOAD_DIR` names, or the system's temporary one.
pub fn app() -> impl Application {
    into(std::env::var_os("UPLOAD_DIR").map_or_else(std::env::temp_dir, PathBuf::from))
}

/// Takes uploads into `directory`, under names of its own.
pub fn into(directory: impl Into<PathBuf>) -> impl Application {
    let directory = directory.into();
    (move |environ: Environ, start_response: StartResponse| {
        receive(&directory, environ, start_response)
    })
    .into_application()
}

fn receive(
    directory: &Path,
    mut environ: Environ,
    start_response: StartResponse,
) -> Result<Response> {
    if !matches!(*environ.method(), Method::POST | Method::PUT) {
        return Ok(start_response.start(StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST, PUT")]));
    }
    static UPLOADS: AtomicU64 = AtomicU64::new(1);
    let number = UPLOADS.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("upload-{}-{number}", std::process::id()));
    let length = save(environ.input(), &path).inspect_err(|_| {
        // The error that is on its way says more than this one could.
        let _ = fs::remove_file(&path);
    })?;
    let answer = format!("{length} bytes are in {}\n", path.display());
    Ok(start_response.start(StatusCode::CREATED, ()).with_body(answer))
}

fn save(input: &mut Input, path: &Path) -> Result<u64> {
    input.limit(u64::MAX)?;
    let mut file = File::create_new(path)?;
    let mut length = 0;
    while let Some(data) = input.data() {
        let data = data?;
        file.write_all(&data)?;
        length += data.len() as u64;
    }
    Ok(length)
}
