import Formats

extension Browser {
    /// Signs somebody in to the console for the first time, as people do: password, the key of the one-time codes, recovery codes.
    /// - Parameters:
    ///   - root: the web's address.
    ///   - code: the code of now, of a key.
    public func signIn(at root: String, name: String, password: String, code: ([UInt8]) -> String) async throws {
        let send = "main form button.main"
        try await open(root + "/console/")
        try await eventually("the sign-in is there") { try await has("#password") }
        try await type(name, into: "#name")
        try await type(password, into: "#password")
        try await click(send)
        try await eventually("the enrolment is there") { try await has("main code") }
        let shown = try await text("main code")
        guard let key = Base32.decode(shown) else { throw FixtureError("no key: \(shown)") }
        guard try await run("return document.querySelector('img.qr').naturalWidth").int ?? 0 > 0 else {
            throw FixtureError("the QR code is not drawn")
        }
        try await type(code(key), into: "#code")
        try await click(send)
        try await eventually("the recovery codes are there") { try await has("ol.codes") }
        try await click("a.button.main")
        try await eventually("the console is there") { try await has("nav a[aria-current=page]") }
    }
}
