import Testing

@testable import Formats

@Suite("IP addresses and ranges") struct AddressRangeTests {
    @Test(
        "what is an address",
        arguments: [
            "192.0.2.1", "0.0.0.0", "255.255.255.255", "192.0.2.1:80", "::", "::1", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443",
            "1:2:3:4:5:6:7:8", "1::8", "::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "FE80::ABCD",
        ])
    func addresses(_ text: String) { #expect(IPAddress(parsing: text) != nil) }

    @Test(
        "what is none",
        arguments: [
            "", " ", "localhost", "192.0.2", "192.0.2.256", "192.0.2.01", "192.0.2.1.1", "192.0.2.-1", "192.0.2.+1", "0x7f.1", "192.0.2.1:",
            "192.0.2.1:port", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::1", "[::1", "::1]", "[::1]x", "1:2:3:4:5:6:7::8",
            "::192.0.2.1:1", "fe80::1%eth0", "192.0.2.1 ", "١٢٧.0.0.1",
        ])
    func strangers(_ text: String) { #expect(IPAddress(parsing: text) == nil) }

    @Test(
        "what a range holds",
        arguments: [
            ("192.0.2.0/24", "192.0.2.255", true), ("192.0.2.0/24", "192.0.3.0", false), ("192.0.2.128/25", "192.0.2.127", false),
            ("192.0.2.128/25", "192.0.2.128", true), ("0.0.0.0/0", "198.51.100.7", true), ("0.0.0.0/0", "::1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.6", false), ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8:8000::/33", "2001:db8:7fff::1", false), ("::1", "0:0:0:0:0:0:0:1", true), ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("::ffff:192.0.2.0/120", "192.0.2.9", true), ("::ffff:192.0.2.0/120", "192.0.3.9", false), ("::/0", "2001:db8::1", true),
        ])
    func ranges(_ range: String, _ address: String, _ holds: Bool) throws {
        let range = try #require(AddressRange(parsing: range))
        #expect(range.contains(try #require(IPAddress(parsing: address))) == holds)
    }

    @Test(
        "are written in the usual form, and limits count those of version 6 by their /64",
        arguments: [
            ("192.0.2.7", "192.0.2.7", "192.0.2.7"), ("192.0.2.7:4711", "192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"), ("[2001:DB8:0:0:1::5]:443", "2001:db8::1:0:0:5", "2001:db8::/64"),
            ("::1", "::1", "::/64"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("::", "::", "::/64"),
            ("2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1", "2001:db8:0:1::/64"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", "2001:db8:0:1::/64"),
            ("1::", "1::", "1::/64"),
        ])
    func written(_ text: String, _ description: String, _ network: String) throws {
        let address = try #require(IPAddress(parsing: text))
        #expect(address.description == description && address.network == network)
        #expect(IPAddress(parsing: address.description) == address)
    }

    @Test(
        "what is no range",
        arguments: [
            "", "/24", "192.0.2.0/", "192.0.2.0/33", "192.0.2.1/24", "192.0.2.0/-1", "192.0.2.0/+8", "2001:db8::/129", "2001:db8::1/32",
            "192.0.2.0:80/24", "[::1]", "::ffff:192.0.2.0/24",
        ])
    func noRanges(_ text: String) { #expect(AddressRange(parsing: text) == nil) }
}
