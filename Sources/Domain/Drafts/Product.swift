import Database
import Formats
import Money

/// What is sold, at which price. The client never names a price.
public struct Product: Sendable, Equatable {
    public let slug: String
    public let nameFrench: String
    public let nameEnglish: String
    public let price: Money
    /// Whether the form sells it; of all products one.
    public let isSold: Bool

    public func name(in language: String) -> String { language == "en" ? nameEnglish : nameFrench }

    private init(_ row: Row) throws {
        slug = try row.text("slug")
        nameFrench = try row.text("name_fr")
        nameEnglish = try row.text("name_en")
        price = Money(try row.int("price"), try Currency(code: try row.text("currency")))
        isSold = try row.bool("is_sold")
    }

    public static func find(_ slug: String, in connection: Connection) throws -> Product? {
        try connection.first("SELECT * FROM drafts_products WHERE slug = $1", [.text(slug)]).map(Product.init)
    }

    /// The one that the form sells.
    public static func sold(in connection: Connection) throws -> Product? {
        try connection.first("SELECT * FROM drafts_products WHERE is_sold = 1").map(Product.init)
    }

    public static func all(in connection: Connection) throws -> [Product] {
        try connection.query("SELECT * FROM drafts_products ORDER BY slug").map(Product.init)
    }

    /// What is to be different; what is nil stays. A new product needs its price and its names.
    public struct Change: Sendable {
        public var nameFrench: String?
        public var nameEnglish: String?
        public var price: Money?
        /// Has the form sell it from now on.
        public var isSold: Bool

        public init(nameFrench: String? = nil, nameEnglish: String? = nil, price: Money? = nil, isSold: Bool = false) {
            self.nameFrench = nameFrench
            self.nameEnglish = nameEnglish
            self.price = price
            self.isSold = isSold
        }
    }

    /// Changes a product or adds one. Orders keep the price they were made at.
    /// - Throws: ``KitActionError``.
    @discardableResult
    public static func set(
        _ slug: String, _ change: Change, actor: String, reason: String, nowMs: Int64, in connection: Connection
    ) throws -> Product {
        guard Slug.isValid(slug, most: 64) else { throw KitActionError.invalid("a product is named by small letters, digits and hyphens") }
        let old = try find(slug, in: connection)
        guard let price = change.price ?? old?.price else { throw KitActionError.invalid("a new product needs a price") }
        guard price.isPositive else { throw KitActionError.invalid("a price is positive") }
        let french = (change.nameFrench ?? old?.nameFrench ?? "").trimmingWhitespace()
        let english = (change.nameEnglish ?? old?.nameEnglish ?? "").trimmingWhitespace()
        guard (1...200).contains(french.count), (1...200).contains(english.count) else {
            throw KitActionError.invalid("a product has a name of 1 to 200 characters in French and one in English")
        }
        try connection.execute(
            """
            INSERT INTO drafts_products (slug, name_fr, name_en, price, currency, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (slug) DO UPDATE SET name_fr = $2, name_en = $3, price = $4, currency = $5, updated_at = $6
            """,
            [.text(slug), .text(french), .text(english), .integer(price.minorUnits), .text(price.currency.code), .integer(nowMs)])
        if change.isSold {
            try connection.execute("UPDATE drafts_products SET is_sold = 0 WHERE is_sold = 1")
            try connection.execute("UPDATE drafts_products SET is_sold = 1 WHERE slug = $1", [.text(slug)])
        }
        let was = old.map { "\($0.price), now " } ?? ""
        try InquiryAudit.record(
            .productSet, inquiry: nil, actor: actor, reason: reason, detail: "\(slug): \(was)\(price)\(change.isSold ? ", sold" : "")", nowMs: nowMs,
            in: connection)
        guard let product = try find(slug, in: connection) else { throw KitActionError.notFound("product \(slug)") }
        return product
    }
}
