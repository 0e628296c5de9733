/// Which program this is, as error reports name it. Raised with each version in CHANGELOG.md.
public enum Release {
    public static let text = "quittance@0.4.0"
}
