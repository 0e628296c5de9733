import EventLoop
import Formats
import HTTPClient

#if canImport(Glibc)
    import Glibc
#endif

/// A real Chromium, driven by its own driver over WebDriver (W3C): a browser of its own for each test, without a screen.
public final class Browser: Sendable {
    /// What kind of browser.
    public struct Kind: Sendable {
        public var width = 1000
        public var height = 800
        public var javaScript = true
        public var dark = false
        /// Where downloads go; without one they go nowhere.
        public var downloads: String?

        public init() {}

        /// As small as phones come.
        public static var phone: Kind {
            var kind = Kind()
            (kind.width, kind.height) = (360, 740)
            return kind
        }
    }

    private let driver: ProcessFixture
    private let client: HTTPClient
    private let session: String

    public static func with(_ kind: Kind = Kind(), client: HTTPClient, _ body: (Browser) async throws -> Void) async throws {
        let browser = try await Browser(kind, client)
        let outcome: Result<Void, any Error>
        do {
            try await body(browser)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        _ = try? await browser.command("DELETE", "")
        browser.driver.end()
        try outcome.get()
    }

    private init(_ kind: Kind, _ client: HTTPClient) async throws {
        self.client = client
        let port = try freePort()
        driver = try await ProcessFixture.start("chromedriver", ["--port=\(port)"])
        try await driver.waitForLine(containing: "was started successfully", within: .seconds(60))
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en"]
        let preferences: JSON =
            kind.downloads.map { ["download.default_directory": .string($0), "download.prompt_for_download": false] } ?? [:]
        let options: JSON = [
            "args": .array((arguments + ["--window-size=\(kind.width),\(kind.height)"]).map { .string($0) }), "prefs": preferences,
            "mobileEmulation": ["deviceMetrics": ["width": .int(Int64(kind.width)), "height": .int(Int64(kind.height)), "pixelRatio": 2]],
        ]
        // Without scripts the driver cannot tell when a page is there, and would wait for it in vain.
        let strategy: JSON = kind.javaScript ? "normal" : "none"
        let asked: JSON = [
            "capabilities": ["alwaysMatch": ["browserName": "chrome", "pageLoadStrategy": strategy, "goog:chromeOptions": options]]
        ]
        let root = "http://127.0.0.1:\(port)"
        let made = try await Self.send(client, "POST", "\(root)/session", asked)
        guard let id = made["sessionId"]?.string else { throw FixtureError("no session: \(made.text)") }
        session = "\(root)/session/\(id)"
        if !kind.javaScript { try await chrome("Emulation.setScriptExecutionDisabled", ["value": true]) }
        if kind.dark {
            try await chrome(
                "Emulation.setEmulatedMedia", ["features": .array([["name": "prefers-color-scheme", "value": "dark"]])])
        }
    }

    // MARK: Doing

    public func open(_ url: String) async throws { try await command("POST", "/url", ["url": .string(url)]) }

    /// Clicks what a CSS selector finds first.
    public func click(_ selector: String) async throws { try await command("POST", "/element/\(element(selector))/click", [:]) }

    public func type(_ text: String, into selector: String) async throws {
        let field = try await element(selector)
        try await command("POST", "/element/\(field)/clear", [:])
        try await command("POST", "/element/\(field)/value", ["text": .string(text)])
    }

    /// Presses a key on what a CSS selector finds first: where scripts are off, clicks are never answered.
    public func press(_ key: String, on selector: String) async throws {
        try await command("POST", "/element/\(element(selector))/value", ["text": .string(key)])
    }

    /// The windows and tabs that are open, the oldest first as far as the driver tells.
    public var windows: [String] { get async throws { try await command("GET", "/window/handles").array?.compactMap(\.string) ?? [] } }
    /// The one that everything is done in.
    public var window: String { get async throws { try await command("GET", "/window").string ?? "" } }

    /// Opens a tab and goes on in it.
    public func openTab() async throws {
        try await use(try await command("POST", "/window/new", ["type": "tab"])["handle"]?.string ?? "")
    }

    /// Goes on in another window.
    public func use(_ window: String) async throws { try await command("POST", "/window", ["handle": .string(window)]) }

    /// Makes the window as wide as a phone's, or as a desk's.
    public func resize(width: Int, height: Int = 800) async throws {
        try await chrome(
            "Emulation.setDeviceMetricsOverride",
            ["width": .int(Int64(width)), "height": .int(Int64(height)), "deviceScaleFactor": 2, "mobile": .bool(width == 360)])
    }

    /// Chooses a file in a form's field.
    public func choose(file path: String, in selector: String) async throws {
        try await command("POST", "/element/\(element(selector))/value", ["text": .string(path)])
    }

    /// Runs a script in the page. - Returns: what it returns, or what the promise it returns comes to.
    @discardableResult
    public func run(_ script: String) async throws -> JSON {
        try await command("POST", "/execute/sync", ["script": .string(script), "args": .array([])])
    }

    private func chrome(_ name: String, _ values: JSON) async throws {
        try await command("POST", "/goog/cdp/execute", ["cmd": .string(name), "params": values])
    }

    // MARK: Looking

    public var title: String { get async throws { try await command("GET", "/title").string ?? "" } }
    public var url: String { get async throws { try await command("GET", "/url").string ?? "" } }

    public func text(_ selector: String) async throws -> String {
        try await command("GET", "/element/\(element(selector))/text").string ?? ""
    }

    public func has(_ selector: String) async throws -> Bool {
        try await command("POST", "/elements", ["using": "css selector", "value": .string(selector)]).array?.isEmpty == false
    }

    /// The whole page as a PNG, as wide as a phone unless told otherwise.
    public func picture(width: Int = 360) async throws -> [UInt8] {
        let height = try await run("return document.documentElement.scrollHeight").int ?? 0
        try await chrome(
            "Emulation.setDeviceMetricsOverride",
            ["width": .int(Int64(width)), "height": .int(height), "deviceScaleFactor": 2, "mobile": .bool(width == 360)])
        let text = try await command("GET", "/screenshot").string ?? ""
        guard let bytes = Base64.decode(text) else { throw FixtureError("no picture") }
        return bytes
    }

    /// Keeps a picture of the page, where `make screenshots` asks for pictures.
    public func keepPicture(_ name: String, width: Int) async throws {
        guard let folder = getenv("QUITTANCE_PICTURES").map({ String(cString: $0) }) else { return }
        let bytes = try await picture(width: width)
        guard let file = fopen("\(folder)/\(name).png", "w") else { throw FixtureError("\(folder) takes no pictures") }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    private func element(_ selector: String) async throws -> String {
        let found = try await command("POST", "/element", ["using": "css selector", "value": .string(selector)])
        guard let id = found.object?.first?.value.string else { throw FixtureError("nothing is at \(selector)") }
        return id
    }

    // MARK: WebDriver

    @discardableResult
    private func command(_ method: String, _ path: String, _ body: JSON? = nil) async throws -> JSON {
        try await Self.send(client, method, session + path, body)
    }

    private static func send(_ client: HTTPClient, _ method: String, _ url: String, _ body: JSON?) async throws -> JSON {
        let request = HTTPClient.Request(
            method: method, url: url, headers: body == nil ? [:] : ["content-type": "application/json"], body: body?.bytes ?? [],
            timeout: .seconds(90), responseLimit: 16 << 20)
        let answer = try await client.send(request)
        let json = try JSON(parsing: answer.body)
        guard answer.status == 200 else {
            throw FixtureError("\(method) \(url): \(json["value"]?["message"]?.string?.prefix(300) ?? "\(answer.status)")")
        }
        return json["value"] ?? .null
    }
}
