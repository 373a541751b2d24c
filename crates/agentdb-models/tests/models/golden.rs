//! The encoder's vectors, number by number against another implementation.

use agentdb_models::{MiniLm, ModelDir, Options, TextEncoder};

/// Numbers that were made with Python: onnxruntime 1.32.0 and tokenizers 0.23.3 on the same model files, one text at
/// a time (no padding), mean over all positions, Euclidean length 1; more than 254 tokens in windows as
/// [`TextEncoder::encode_each`] says. AMD EPYC with AVX-512, one thread.
///
/// A unit of text, how often it is repeated, the tokens of the whole, the first 8 components, and the sum of
/// component i times cos(i), which stands for the other 376.
#[rustfmt::skip]
const GOLDEN: &[(&str, usize, usize, [f64; 8], f64)] = &[
    ("a", 1, 1, [-0.038532, 0.036084, -0.045135, 0.033976, -0.080117, 0.034818, 0.122489, -0.022840], 0.550442),
    ("How do I reset my password?", 1, 7, [0.005373, -0.061111, -0.071281, -0.034230, -0.042787, 0.068429, 0.008457, 0.016022], 1.049512),
    ("Steps to recover a forgotten login credential", 1, 10, [-0.072752, 0.008871, 0.009602, -0.038372, -0.014415, 0.097388, 0.009100, -0.020672], 1.089301),
    ("The cat sat on the mat", 1, 6, [0.127240, -0.011875, -0.026688, 0.048999, -0.056073, 0.029792, 0.031465, 0.027112], 0.707295),
    ("Paris is the capital of France", 1, 6, [0.095174, 0.032123, 0.030502, -0.044251, 0.073513, -0.051739, 0.011866, -0.008319], -0.231353),
    ("PARIS IS THE CAPITAL OF FRANCE", 1, 6, [0.095174, 0.032123, 0.030502, -0.044251, 0.073513, -0.051739, 0.011866, -0.008319], -0.231353),
    ("  spaces\t\tand\n\nnewlines  ", 1, 4, [-0.050321, -0.062573, 0.055880, 0.010769, -0.074584, 0.054002, 0.063689, -0.025188], 0.440268),
    ("naïve café, Ångström, ﬁne", 1, 8, [0.065725, -0.022598, -0.017146, 0.043693, 0.029583, 0.011269, 0.065764, -0.044044], 0.183572),
    ("北京是中国的首都", 1, 8, [0.084943, 0.106684, 0.059761, 0.005373, -0.023947, 0.064342, 0.086404, -0.030291], 0.222523),
    ("今天天气很好，我们去公园散步吧。", 1, 16, [0.026040, 0.100853, 0.083923, -0.027480, -0.022145, 0.063615, 0.100589, -0.017566], -0.427330),
    ("東京タワーは高い", 1, 8, [0.024421, 0.119968, 0.044482, -0.055551, -0.100484, 0.078091, 0.134503, 0.009039], 0.437573),
    ("안녕하세요 세계", 1, 13, [-0.053203, 0.099332, 0.035764, -0.009498, -0.005087, -0.038812, 0.105352, 0.024832], -0.177623),
    ("🙂", 1, 1, [-0.045357, -0.028183, 0.078095, -0.009107, 0.015959, 0.004071, 0.124282, -0.001445], 0.503304),
    ("deploy went fine 🚀🎉", 1, 4, [0.050654, -0.078674, 0.063151, -0.046808, 0.034444, -0.069353, -0.012064, -0.075391], 0.521888),
    ("the user's birthday is 1990-05-17; she lives at 221B Baker St.", 1, 20, [-0.039712, 0.008032, 0.035684, -0.045258, -0.094987, 0.101036, -0.009721, 0.033881], 0.493891),
    ("fn main() { println!(\"{}\", x + 1); }", 1, 21, [-0.014097, 0.074716, -0.054804, -0.007352, -0.046246, -0.011401, 0.017365, 0.067828], -0.408723),
    ("https://example.com/a/b?c=d&e=f#g", 1, 21, [-0.074158, -0.008262, 0.019674, -0.021296, 0.013894, -0.025465, -0.013753, -0.018522], 0.589445),
    ("Привет, мир", 1, 10, [0.021030, 0.049143, 0.003642, 0.000401, -0.077514, 0.021467, 0.129021, 0.049301], 0.941579),
    ("x", 300, 1, [-0.045357, -0.028183, 0.078095, -0.009107, 0.015959, 0.004071, 0.124282, -0.001445], 0.503304),
    ("memory ", 200, 200, [-0.024833, -0.031506, -0.001085, -0.069490, -0.052153, 0.060884, 0.079553, 0.110849], 1.013005),
    ("word ", 254, 254, [-0.004822, -0.098322, -0.038990, 0.051114, -0.042675, 0.021928, -0.017121, -0.021084], 0.358442),
    ("word ", 255, 255, [-0.004821, -0.098095, -0.039058, 0.051170, -0.042653, 0.021787, -0.016715, -0.020877], 0.356995),
    ("The quick brown fox jumps over the lazy dog. ", 60, 600, [0.062077, -0.053330, 0.077219, -0.001305, -0.047010, 0.002156, -0.027243, -0.071974], -0.237344),
    ("漢字 and English mixed, again and again. ", 400, 4000, [0.039511, -0.065904, 0.071213, -0.026264, -0.024599, 0.068080, -0.001103, -0.046702], 0.490390),
];

/// The weights are 8-bit, the sums are of 32-bit floats: where the numbers were made the difference is below 1e-7
/// (beyond the six digits printed), and another CPU or batch changes the order of the sums only.
const TOLERANCE: f64 = 2e-5;

#[test]
fn vectors_are_those_of_the_reference_whatever_they_are_encoded_with() {
    let encoder =
        MiniLm::open(&ModelDir::locate().unwrap(), Options { sessions: 2, intra_threads: 1 }).unwrap();
    let texts: Vec<String> = GOLDEN.iter().map(|(unit, times, ..)| unit.repeat(*times)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = encoder.encode(&texts).unwrap();
    for (i, (unit, _, tokens, first, probe)) in GOLDEN.iter().enumerate() {
        assert_eq!(encoder.count_tokens(texts[i]).unwrap(), *tokens, "{unit}");
        let alone = &encoder.encode(&texts[i..=i]).unwrap()[0];
        for vector in [&together[i], alone] {
            assert_eq!(vector.len(), 384);
            for (actual, expected) in vector.iter().zip(first) {
                assert!(
                    (f64::from(*actual) - expected).abs() < TOLERANCE,
                    "{unit}: {:?}, not {first:?}",
                    &vector[..8]
                );
            }
            let actual: f64 = vector.iter().enumerate().map(|(i, x)| f64::from(*x) * (i as f64).cos()).sum();
            assert!((actual - probe).abs() < 20.0 * TOLERANCE, "{unit}: {actual}, not {probe}");
            let norm: f64 = vector.iter().map(|x| f64::from(*x).powi(2)).sum();
            assert!((norm - 1.0).abs() < 1e-6, "{unit}: length {norm}");
        }
    }
}
