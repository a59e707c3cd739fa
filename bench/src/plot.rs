//! A plain SVG of horizontal bars, one panel for each test.

use std::fmt::Write;

/// A heading and its bars, on a logarithmic axis of their own.
pub struct Panel {
    pub heading: String,
    pub bars: Vec<Bar>,
}

/// One case.
pub struct Bar {
    pub label: String,
    pub value: f64,
    pub text: String,
    /// Where a mark is drawn.
    pub goal: Option<f64>,
    pub met: Option<bool>,
}

/// The whole picture.
pub fn svg(panels: &[Panel]) -> String {
    let mut body = String::new();
    let mut top = MARGIN;
    for panel in panels {
        top = draw(panel, top, &mut body);
    }
    let width = LABEL_WIDTH + BAR_WIDTH + TEXT_WIDTH + 2 * MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{top}\" viewBox=\"0 0 {width} {top}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

/// Draws one panel from `top` on; gives where the next one starts.
fn draw(panel: &Panel, top: u32, body: &mut String) -> u32 {
    let axis = Axis::over(panel);
    let left = MARGIN + LABEL_WIDTH;
    // Writing into a String cannot fail.
    let _ = writeln!(
        body,
        "<text x=\"{MARGIN}\" y=\"{}\" font-weight=\"bold\">{}</text>",
        top + 14,
        escape(&panel.heading)
    );
    let mut y = top + 24;
    for bar in &panel.bars {
        let length = axis.place(bar.value);
        let colour = match bar.met {
            Some(true) => "#2e7d32",
            Some(false) => "#c62828",
            None => "#90a4ae",
        };
        let (label, text, middle) = (escape(&bar.label), escape(&bar.text), y + 14);
        let _ = writeln!(body, "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{label}</text>", left - 8);
        let _ = writeln!(body, "<rect x=\"{left}\" y=\"{y}\" width=\"{length:.1}\" height=\"18\" fill=\"{colour}\"/>");
        let mut end = length.max(4.0);
        if let Some(goal) = bar.goal {
            let mark = axis.place(goal);
            let (x, above, below) = (f64::from(left) + mark, y - 2, y + 20);
            let _ = writeln!(body, "<path d=\"M{x:.1} {above}V{below}\" stroke=\"black\" stroke-width=\"2\"/>");
            end = end.max(mark);
        }
        let _ = writeln!(body, "<text x=\"{:.1}\" y=\"{middle}\">{text}</text>", f64::from(left) + end + 8.0);
        y += ROW_HEIGHT;
    }
    y + PANEL_GAP
}

/// Logarithmic, from a little below the smallest value or goal to the largest.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn over(panel: &Panel) -> Self {
        let numbers = || panel.bars.iter().flat_map(|bar| [Some(bar.value), bar.goal]).flatten().filter(|n| *n > 0.0);
        let low = numbers().fold(f64::INFINITY, f64::min) * 0.7;
        let high = numbers().fold(low * 2.0, f64::max);
        Self { low, high }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        // A value that is not a number has no bar.
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) * f64::from(BAR_WIDTH) }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const MARGIN: u32 = 16;
const LABEL_WIDTH: u32 = 200;
const BAR_WIDTH: u32 = 480;
const TEXT_WIDTH: u32 = 100;
const ROW_HEIGHT: u32 = 24;
const PANEL_GAP: u32 = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_is_drawn_and_markup_is_escaped() {
        let bar = |value| Bar { label: "a < b".into(), value, text: "1 & 2".into(), goal: Some(1.1), met: Some(true) };
        let picture = svg(&[Panel { heading: "<h>".into(), bars: vec![bar(1.0), bar(20.0), bar(f64::NAN)] }]);
        assert_eq!(picture.matches("#2e7d32").count(), 3);
        assert!(picture.contains("a &lt; b") && picture.contains("1 &amp; 2") && picture.contains("&lt;h&gt;"));
        assert!(!picture.contains("NaN"));
    }

    #[test]
    fn a_larger_value_has_a_longer_bar() {
        let axis = Axis { low: 1.0, high: 100.0 };
        assert!(axis.place(2.0) < axis.place(10.0));
        assert_eq!(axis.place(1000.0), f64::from(BAR_WIDTH));
    }
}
