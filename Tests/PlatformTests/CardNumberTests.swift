import Formats
import Testing

@Suite("Numbers of cards in texts")
struct CardNumberTests {
    @Test(
        "are found whole, in groups and among other words",
        arguments: [
            "4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "pay with 5555 5555 5555 4444 please", "378282246310005",
            "3782 822463 10005", "4111 1111 1111 1111 12/29", "6011111111111117.", "2223003122003222", "12 4111 1111 1111 1111",
            "4111  1111  1111  1111", "4111.1111.1111.1111", "4111\u{A0}1111\u{202F}1111\u{2009}1111", "4111\u{2013}1111-1111\u{2010}1111",
        ])
    func found(_ text: String) { #expect(CardNumber.isIn(text)) }

    @Test(
        "are not seen in what is none",
        arguments: [
            "", "4111111111111112", "+2290166000000", "+22507071234567", "01JD6ZK8T3R5W7Y9A1C3E5G7J9", "2026-11-21 18:05:11", "12500.00 XOF",
            "411111111111", "41111111111111111111111", "9411111111111111", "4111 | 1111 | 1111 | 1111", "4111   1111   1111   1111", "BJ66 0001 0002",
        ])
    func notFound(_ text: String) { #expect(!CardNumber.isIn(text)) }
}
