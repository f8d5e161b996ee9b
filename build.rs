//! Hands the files that our pages load to `src/http/asset.rs`, compressed. Those of GraphiQL are fetched with npm and checked by
//! their hashes.
//!
//! `GRAPHIQL_ASSETS` chooses: `embed` fails without the files, `cdn` leaves them out, a folder holds them (as
//! `<package>/<path>`, what npm unpacks); unset takes them when npm can, and leaves them out when it cannot.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256, Sha512};

const MANIFEST: &str = "src/http/playground/files.txt";
const PLAYGROUND: &str = "src/http/playground";
const PLAYGROUND_OWN: [&str; 2] = ["start.css", "start.js"];
const RESULTS: &str = "src/http/results";
const RESULTS_OWN: [&str; 2] = ["results.css", "results.js"];
/// Served beside the files it is for.
const LICENCE: &str = "LICENSE";
const CDN_ORIGIN: &str = "https://cdn.jsdelivr.net";
const VARIABLE: &str = "GRAPHIQL_ASSETS";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A line of the manifest.
struct File {
    package: String,
    version: String,
    path: String,
    integrity: String,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a build script is configured by its environment"
)]
fn main() -> Result<()> {
    println!("cargo::rerun-if-changed={MANIFEST}");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    for (folder, names) in [(PLAYGROUND, PLAYGROUND_OWN), (RESULTS, RESULTS_OWN)] {
        for name in names {
            println!("cargo::rerun-if-changed={folder}/{name}");
        }
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let files = read_manifest()?;
    let choice = std::env::var(VARIABLE).unwrap_or_default();
    let contents = match choice.as_str() {
        "cdn" => None,
        "embed" => Some(fetch(&files, &out)?),
        "" => fetch(&files, &out).map_or_else(
            |error| {
                println!(
                    "cargo::warning=GraphiQL is not built in ({error}); its page will load it from a CDN. \
                     Install Node.js for a playground that works without internet."
                );
                None
            },
            Some,
        ),
        folder => {
            println!("cargo::rerun-if-changed={folder}");
            Some(read_folder(&files, Path::new(folder))?)
        }
    };
    fs::write(out.join("assets.rs"), generate(&files, contents, &out)?)?;
    Ok(())
}

fn read_manifest() -> Result<Vec<File>> {
    fs::read_to_string(MANIFEST)?
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            let [package, version, path, integrity] = <[String; 4]>::try_from(words)
                .map_err(|_| format!("{MANIFEST}: four words expected: {line}"))?;
            Ok(File {
                package,
                version,
                path,
                integrity,
            })
        })
        .collect()
}

/// Downloads the packages with `npm pack` and takes the files out of them.
fn fetch(files: &[File], out: &Path) -> Result<Vec<Vec<u8>>> {
    let folder = out.join("npm");
    fs::create_dir_all(&folder)?;
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut contents = Vec::new();
    for file in files {
        let tarball = folder.join(format!("{}-{}.tgz", file.package, file.version));
        if !tarball.exists() {
            let output = Command::new(npm)
                .args([
                    "pack",
                    "--silent",
                    &format!("{}@{}", file.package, file.version),
                ])
                .current_dir(&folder)
                .output()
                .map_err(|error| format!("npm: {error}"))?;
            if !output.status.success() {
                return Err(format!("npm pack {}@{} failed", file.package, file.version).into());
            }
        }
        let content = unpack(&tarball, &format!("package/{}", file.path))?;
        contents.push(content);
    }
    Ok(contents)
}

fn unpack(tarball: &Path, wanted: &str) -> Result<Vec<u8>> {
    let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(tarball)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()? == Path::new(wanted) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            return Ok(content);
        }
    }
    Err(format!("{wanted} is not in {}", tarball.display()).into())
}

fn read_folder(files: &[File], folder: &Path) -> Result<Vec<Vec<u8>>> {
    files
        .iter()
        .map(|file| {
            let path = folder.join(&file.package).join(&file.path);
            fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
        })
        .collect()
}

/// The Rust source that `src/http/asset.rs` includes.
fn generate(files: &[File], contents: Option<Vec<Vec<u8>>>, out: &Path) -> Result<String> {
    let mut source = format!("pub(crate) const CDN_ORIGIN: &str = {CDN_ORIGIN:?};\n");
    let mut cdn = String::new();
    let mut assets = String::new();
    match contents {
        None => {
            for file in files.iter().filter(|file| file.path != LICENCE) {
                let url = format!(
                    "{CDN_ORIGIN}/npm/{}@{}/{}",
                    file.package, file.version, file.path
                );
                writeln!(
                    cdn,
                    "    CdnFile {{ url: {url:?}, integrity: {:?} }},",
                    file.integrity
                )?;
            }
        }
        Some(contents) => {
            for (file, content) in files.iter().zip(contents) {
                let found = format!(
                    "sha512-{}",
                    BASE64_STANDARD.encode(Sha512::digest(&content))
                );
                if found != file.integrity {
                    // A wrong hash is never papered over: it fails the build in every mode.
                    println!(
                        "cargo::error={}@{} {} has another hash: {found}",
                        file.package, file.version, file.path
                    );
                    return Err("a file of GraphiQL has another hash than the manifest".into());
                }
                let name = match file.path.rsplit('/').next() {
                    Some(LICENCE) | None => format!("{}-LICENSE.txt", file.package),
                    Some(name) => name.to_owned(),
                };
                let content = if name.ends_with(".css") {
                    without_fonts(content)?
                } else {
                    content
                };
                writeln!(assets, "{}", asset(&name, &content, out)?)?;
            }
        }
    }
    assets.push_str(&own(PLAYGROUND, PLAYGROUND_OWN, out)?);
    let results = own(RESULTS, RESULTS_OWN, out)?;
    writeln!(source, "pub(crate) const CDN: &[CdnFile] = &[\n{cdn}];")?;
    writeln!(
        source,
        "pub(crate) static PLAYGROUND: &[Asset] = &[\n{assets}];"
    )?;
    writeln!(
        source,
        "pub(crate) static RESULTS: &[Asset] = &[\n{results}];"
    )?;
    Ok(source)
}

/// The entries of our own files.
fn own(folder: &str, names: [&str; 2], out: &Path) -> Result<String> {
    let entries = names.map(|name| asset(name, &fs::read(Path::new(folder).join(name))?, out));
    let entries: Vec<String> = entries.into_iter().collect::<Result<_>>()?;
    Ok(entries.join("\n") + "\n")
}

/// Four fifths of the stylesheet are fonts; the page does well with those of the system.
fn without_fonts(css: Vec<u8>) -> Result<Vec<u8>> {
    let css = String::from_utf8(css)?;
    let mut kept = String::with_capacity(css.len());
    let mut rest = css.as_str();
    while let Some(start) = rest.find("@font-face") {
        let end = rest[start..].find('}').ok_or("a font face has no end")?;
        kept.push_str(&rest[..start]);
        rest = &rest[start + end + 1..];
    }
    kept.push_str(rest);
    Ok(kept.into_bytes())
}

fn asset(name: &str, content: &[u8], out: &Path) -> Result<String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    let path = out.join(format!("{name}.gz"));
    fs::write(&path, encoder.finish()?)?;
    let hash: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let content_type = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };
    Ok(format!(
        "    Asset {{ name: {name:?}, content_type: {content_type:?}, hash: {hash:?}, gzip: include_bytes!({:?}) }},",
        path.display().to_string()
    ))
}
