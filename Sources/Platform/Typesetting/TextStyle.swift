/// How a piece of text looks.
public struct TextStyle: Sendable, Equatable {
    public enum Weight: Sendable { case regular, medium, bold }
    /// Leading is where the text's own script begins: left for French, right for Hebrew.
    public enum Alignment: Sendable { case leading, centre, trailing, justified }

    /// A family of fonts; characters that it lacks come from others that are installed.
    public var font: String
    /// In points.
    public var size: Double
    public var weight: Weight
    public var isItalic: Bool
    public var colour: Colour
    public var alignment: Alignment
    /// From line to line, as a multiple of the font's own height.
    public var lineSpacing: Double

    public init(
        font: String = "DejaVu Sans", size: Double = 10, weight: Weight = .regular, isItalic: Bool = false, colour: Colour = .black,
        alignment: Alignment = .leading, lineSpacing: Double = 1
    ) {
        self.font = font
        self.size = size
        self.weight = weight
        self.isItalic = isItalic
        self.colour = colour
        self.alignment = alignment
        self.lineSpacing = lineSpacing
    }
}

/// Red, green and blue, each 0…1.
public struct Colour: Sendable, Equatable {
    public let red: Double
    public let green: Double
    public let blue: Double

    public init(red: Double, green: Double, blue: Double) {
        self.red = min(max(red, 0), 1)
        self.green = min(max(green, 0), 1)
        self.blue = min(max(blue, 0), 1)
    }

    /// As in CSS: `0x1A2B3C`.
    public init(hex: UInt32) {
        self.init(red: Double(hex >> 16 & 255) / 255, green: Double(hex >> 8 & 255) / 255, blue: Double(hex & 255) / 255)
    }

    public static let black = Colour(hex: 0)
    public static let white = Colour(hex: 0xFFFFFF)
    public static let grey = Colour(hex: 0x666666)
}

/// What a text takes on the page, in points.
public struct TextExtent: Sendable, Equatable {
    public let width: Double
    public let height: Double
    public let lines: Int
}
