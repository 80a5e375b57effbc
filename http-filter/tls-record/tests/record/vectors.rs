//! Known answers: the application data and alerts of RFC 8448 §3, and, for the suites and the KeyUpdate that no RFC has vectors of,
//! records that were sealed by another implementation (Python's `cryptography` 48, HKDFExpand and AESGCM or ChaCha20Poly1305).

use std::io::IoSlice;

use tls_record::{Direction, Fault, Limits, Opened, RecordLayer, Secret, State, Suite};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn layer(suite: Suite, read: (&[u8], u64), write: (&[u8], u64)) -> RecordLayer {
    let direction = |(secret, sequence)| Direction { secret: Secret::new(suite, secret).unwrap(), sequence };
    let state = State { suite, read: direction(read), write: direction(write) };
    RecordLayer::new(state, Limits::default()).unwrap()
}

fn sealed(layer: &mut RecordLayer, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(layer.seal(&[IoSlice::new(text)], usize::MAX, 16384, &mut out), Ok(text.len()));
    out
}

fn opens(layer: &mut RecordLayer, record: &[u8], text: &[u8]) {
    let mut bytes = record.to_vec();
    assert_eq!(layer.open(&mut bytes), Ok(Opened::Data { consumed: record.len(), plain: text }));
}

mod rfc8448 {
    pub const CLIENT_SECRET: &str = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
    pub const SERVER_SECRET: &str = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
    /// The ticket: the server's record 0, so its data has number 1, as after a hand-over.
    pub const TICKET: &str = "
        17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c758db289a015940252f55713e
        061dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3d03f75e09c30ba1e62972ac46f75f7b981be6343
        9b2999ce13064615139891d5e4c5b406f16e3fc181a77ca475840025db2f0a77f81b5ab05b94c01346755f69232c86519d86cbeeac87aac3
        47d143f9605d64f650db4d023e70e952ca49fe5137121c74bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779b37bf159
        85684f";
    pub const CLIENT_DATA: &str = "
        1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2
        977014bd1e3deae63aeebb21694915e4";
    pub const SERVER_DATA: &str = "
        17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a2
        1c0047c2abf332540dd032e167c2955d";
    pub const CLIENT_CLOSE: &str = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3";
    pub const SERVER_CLOSE: &str = "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";
}

#[test]
fn the_server_of_rfc_8448_speaks_as_we_do() {
    let (client, server) = (hex(rfc8448::CLIENT_SECRET), hex(rfc8448::SERVER_SECRET));
    let mut layer = layer(Suite::Aes128GcmSha256, (&client, 0), (&server, 1));
    let payload: Vec<u8> = (0..50).collect();
    opens(&mut layer, &hex(rfc8448::CLIENT_DATA), &payload);
    assert_eq!(sealed(&mut layer, &payload), hex(rfc8448::SERVER_DATA));
    let mut close = hex(rfc8448::CLIENT_CLOSE);
    assert_eq!(layer.open(&mut close), Ok(Opened::Closed { consumed: 24 }));
    let mut out = Vec::new();
    layer.close(&mut out);
    assert_eq!(out, hex(rfc8448::SERVER_CLOSE));
    assert_eq!(layer.end(), Ok(()));
}

#[test]
fn the_client_of_rfc_8448_speaks_as_we_do() {
    let (client, server) = (hex(rfc8448::CLIENT_SECRET), hex(rfc8448::SERVER_SECRET));
    let payload: Vec<u8> = (0..50).collect();
    let mut ours = layer(Suite::Aes128GcmSha256, (&server, 1), (&client, 0));
    assert_eq!(sealed(&mut ours, &payload), hex(rfc8448::CLIENT_DATA));
    opens(&mut ours, &hex(rfc8448::SERVER_DATA), &payload);
    let mut close = hex(rfc8448::SERVER_CLOSE);
    assert_eq!(ours.open(&mut close), Ok(Opened::Closed { consumed: 24 }));
    // Record 0 is a NewSessionTicket, which decrypts, and which nobody may send to a server.
    let mut ours = layer(Suite::Aes128GcmSha256, (&server, 0), (&client, 0));
    assert_eq!(ours.open(&mut hex(rfc8448::TICKET)), Err(Fault::Handshake(4)));
}

/// Of a suite, under the secret 01 02 03 …: a record with number 0, one with number 0x0102030405060708, a KeyUpdate with number 1, and
/// number 0 of the next generation.
const OTHERS: [(Suite, [&str; 4]); 3] = [
    (
        Suite::Aes128GcmSha256,
        [
            "17030300251be58c3b1d092934ab76f9ff6d0cc5d7a66c4596f512118389c376d8a496ed6e42bc671f46",
            "170303002574ad7a0b659d7b7418259c60124302bfd61353ae8c51eb41b9bc77cda7c5e5c2e929967686",
            "170303001640cc114bd8e2684dcaec8f9d3f9187d2e1189126a788",
            "1703030024f8479096a434f6c2970412b2a0434603dd1ad6bcea4bf00af245cbf8b35ebd2f866f4033",
        ],
    ),
    (
        Suite::Aes256GcmSha384,
        [
            "1703030025912f115be288b756f6cec93a347c714be62acefb2bdd6071b9f8ea7874362155c470fab3e1",
            "1703030025bb63687c3e0eb62902f0e14512fcff13e9d049521b761db3b7ccc8ea9e6980ec566168d92c",
            "1703030016c7c017d9ebc0ae11128c6c4dd48aeaf8539103091c31",
            "170303002480f6b7b50b78236d9809224678d19e044816355b44c44104febbe2c617c2f1f359f43bcf",
        ],
    ),
    (
        Suite::ChaCha20Poly1305Sha256,
        [
            "17030300257126d0c663861e96ea519fde286decf72efa6731c56fddf52ea9630fa975c20d2d9f068374",
            "17030300259dd40307a208f4b6a17278d539c24ea3868021adc248b77eded4811f4fb3789d41fa851e8d",
            "1703030016f1dbb0e0f068d817ac140d74b4ff7ac9a03e793cfcd8",
            "1703030024f8420fd3b930719f4b95a125b90decf3cfa99ba6d583a8b7308f2e855be3afe87309c862",
        ],
    ),
];

#[test]
fn another_implementation_opens_and_seals_the_same() {
    for (suite, [first, late, update, next]) in OTHERS {
        let known: Vec<u8> = (1..).take(suite.secret_len()).collect();
        let other = vec![0; suite.secret_len()];
        let text = b"a record of bulkhead";

        let mut reader = layer(suite, (&known, 0), (&other, 0));
        opens(&mut reader, &hex(first), text);
        assert_eq!(reader.open(&mut hex(update)), Ok(Opened::Nothing { consumed: 27 }));
        opens(&mut reader, &hex(next), b"the next generation");
        let mut reader = layer(suite, (&known, 0x0102_0304_0506_0708), (&other, 0));
        opens(&mut reader, &hex(late), text);

        let mut writer = layer(suite, (&other, 0), (&known, 0));
        assert_eq!(sealed(&mut writer, text), hex(first), "{suite:?}");
        // Asked for a KeyUpdate, it seals one with number 1 and goes on with the next generation at 0.
        let mut peer = crate::peer::Keys::new(suite, &other, 0);
        let mut request = peer.record(22, &[24, 0, 0, 1, 1]);
        assert_eq!(writer.open(&mut request), Ok(Opened::Nothing { consumed: 27 }));
        let mut out = Vec::new();
        writer.control(&mut out);
        assert_eq!(out, hex(update), "{suite:?}");
        assert_eq!(sealed(&mut writer, b"the next generation"), hex(next), "{suite:?}");
    }
}
