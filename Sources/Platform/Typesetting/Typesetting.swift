import CPango
enum TypesettingRoom { static let v = cairo_version() }
