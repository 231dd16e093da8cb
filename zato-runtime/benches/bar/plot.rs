//! Plots, as SVG files beside the results.

use std::error::Error;

use plotters::prelude::*;

use crate::place;
use crate::results::{Results, Row};
use crate::shape::shapes::{SHAPES, Shape};

/// One plot: curves of some rows of a section.
struct Plot {
    file: &'static str,
    title: &'static str,
    x: &'static str,
    y: &'static str,
    section: &'static str,
    /// The names of the rows that are curves, and what each is called.
    curves: &'static [(&'static str, &'static str)],
}

const PLOTS: [Plot; 6] = [
    Plot {
        file: "memory.svg",
        title: "Rounds in memory",
        x: "in flight",
        y: "ns a round",
        section: "memory",
        curves: &[
            ("two bare spawns", "two bare spawns"),
            ("zato, by name", "zato"),
            ("two channel hops", "two channel hops"),
        ],
    },
    Plot {
        file: "durable.svg",
        title: "Rounds on disk",
        x: "in flight",
        y: "ns a round",
        section: "durable",
        curves: &[
            ("bare SQLite, the same rows", "bare SQLite, the same rows"),
            ("zato", "zato"),
            ("bare SQLite, deleting", "bare SQLite, deleting"),
        ],
    },
    Plot {
        file: "services.svg",
        title: "A round, against the number of services",
        x: "services",
        y: "ns a round",
        section: "services",
        curves: &[("a round, one worker", "zato")],
    },
    Plot {
        file: "waiting.svg",
        title: "A round on disk, against what waits",
        x: "waiting",
        y: "ns a round",
        section: "backlog",
        curves: &[("waiting: rounds", "zato")],
    },
    Plot {
        file: "ended.svg",
        title: "A round on disk, against what has ended and is kept",
        x: "ended",
        y: "ns a round",
        section: "backlog",
        curves: &[("ended: rounds", "zato")],
    },
    Plot {
        file: "keys.svg",
        title: "A step under one concurrency key, against how many wait for it",
        x: "waiting",
        y: "ns a step",
        section: "keys",
        curves: &[("memory: a step of a lane", "in memory"), ("disk: a step of a lane", "on SQLite")],
    },
];

const COLOURS: [RGBColor; 4] =
    [RGBColor(110, 110, 110), RGBColor(200, 60, 30), RGBColor(40, 100, 180), RGBColor(60, 140, 80)];

/// What is drawn beside bare tasks.
const SUBJECTS: [&str; 4] = ["by hand", "zato", "kameo", "ractor"];

const SIZE: (u32, u32) = (720, 360);

type Curve = (String, Vec<(f64, f64)>);

/// Draws what there are results for, and returns the files of a section.
pub(crate) fn draw(results: &Results, section: &str) -> Vec<(&'static str, &'static str)> {
    let mut files = Vec::new();
    for plot in PLOTS.iter().filter(|plot| plot.section == section) {
        let curve =
            |(name, called): &(&str, &str)| ((*called).to_owned(), points(results.rows(section), name));
        let curves: Vec<Curve> =
            plot.curves.iter().map(curve).filter(|(_, points)| points.len() > 1).collect();
        if !curves.is_empty() {
            lines(plot.file, plot.title, (plot.x, plot.y), &curves).expect("the plot is drawn");
            files.push((plot.file, plot.title));
        }
    }
    if section == "latency" && !results.rows(section).is_empty() {
        let title = "Latency in memory, one at a time";
        let curve = |name: &str| {
            let rows = results.rows(section).iter().filter(|row| row.name.starts_with(name));
            // How many of a thousand are slower, so that the tail has room.
            let point = |row: &Row| Some((1_000.0 / (1_000.0 - row.at?), row.spread?.median));
            (name.to_owned(), rows.filter_map(point).collect())
        };
        let curves = ["two bare spawns", "zato, by name", "two channel hops"].map(curve);
        lines("latency.svg", title, ("one of so many is slower", "ns"), &curves).expect("the plot is drawn");
        files.push(("latency.svg", title));
    }
    if section == "shapes" && !results.rows(section).is_empty() {
        let title = "A round of each shape, as a multiple of bare tasks";
        shapes("shapes.svg", title, results).expect("the plot is drawn");
        files.push(("shapes.svg", title));
    }
    files
}

fn points(rows: &[Row], name: &str) -> Vec<(f64, f64)> {
    let point = |row: &Row| Some((row.at?.max(1.0), row.spread?.median));
    rows.iter().filter(|row| row.name == name).filter_map(point).collect()
}

/// Curves over two logarithmic axes.
fn lines(file: &str, title: &str, (x, y): (&str, &str), curves: &[Curve]) -> Result<(), Box<dyn Error>> {
    let path = place::benchmarks().join(file);
    let all = || curves.iter().flat_map(|(_, points)| points);
    let most_x = all().map(|point| point.0).fold(1.0, f64::max);
    let least_y = all().map(|point| point.1).fold(f64::MAX, f64::min);
    let most_y = all().map(|point| point.1).fold(0.0, f64::max);
    let canvas = SVGBackend::new(&path, SIZE).into_drawing_area();
    canvas.fill(&WHITE)?;
    let mut builder = ChartBuilder::on(&canvas);
    builder.caption(title, ("sans-serif", 18)).margin(12).x_label_area_size(40).y_label_area_size(70);
    // The names stand at the right, where no curve is.
    let ranges = ((1.0..most_x.powf(1.35)).log_scale(), (least_y / 1.5..most_y * 1.5).log_scale());
    let mut chart = builder.build_cartesian_2d(ranges.0, ranges.1)?;
    chart.configure_mesh().x_desc(x).y_desc(y).x_label_formatter(&short).y_label_formatter(&short).draw()?;
    for ((name, points), colour) in curves.iter().zip(COLOURS) {
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3);
        chart
            .draw_series(line)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.2)).draw()?;
    canvas.present()?;
    Ok(())
}

/// Columns for each shape, up or down from 1 on a logarithmic axis: how long a round takes beside bare tasks.
fn shapes(file: &str, title: &str, results: &Results) -> Result<(), Box<dyn Error>> {
    let ratio = |shape: Shape, subject: &str| {
        let row = |subject| format!("{}: {subject}", shape.title);
        results.ratio("shapes", (&row(subject), None), (&row("bare tasks"), None))
    };
    let path = place::benchmarks().join(file);
    let canvas = SVGBackend::new(&path, SIZE).into_drawing_area();
    canvas.fill(&WHITE)?;
    let mut builder = ChartBuilder::on(&canvas);
    builder.caption(title, ("sans-serif", 18)).margin(12).x_label_area_size(40).y_label_area_size(70);
    // The names of the columns are at the right, where no column is.
    let (left, right) = (-0.6, SHAPES.len() as f64 + 0.8);
    let mut chart = builder.build_cartesian_2d(left..right, (0.2..20.0).log_scale())?;
    let name = |x: &f64| {
        let shape = SHAPES.iter().enumerate().find(|(index, _)| (x - *index as f64).abs() < 0.01);
        shape.map(|(_, shape)| shape.name.to_owned()).unwrap_or_default()
    };
    let times = |y: &f64| format!("{y} x");
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh()
        .x_labels(SHAPES.len() + 2)
        .x_label_formatter(&name)
        .y_label_formatter(&times)
        .draw()?;
    for (column, (subject, colour)) in SUBJECTS.into_iter().zip(COLOURS).enumerate() {
        let bar = |(index, shape): (usize, Shape)| {
            let left = index as f64 - 0.4 + 0.2 * column as f64;
            let ratio = ratio(shape, subject)?;
            Some(Rectangle::new([(left, 1.0), (left + 0.18, ratio)], colour.filled()))
        };
        chart
            .draw_series(SHAPES.into_iter().enumerate().filter_map(bar))?
            .label(subject)
            .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled()));
    }
    let one = LineSeries::new([(left, 1.0), (right, 1.0)], BLACK.stroke_width(1));
    chart.draw_series(one)?;
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.2)).draw()?;
    canvas.present()?;
    Ok(())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as plotters asks for it")]
fn short(number: &f64) -> String {
    match *number {
        number if number >= 1e6 => format!("{} M", number / 1e6),
        number if number >= 1e3 => format!("{} k", number / 1e3),
        number => format!("{number}"),
    }
}
