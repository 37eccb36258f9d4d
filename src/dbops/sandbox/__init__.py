"""The embedded platform: every store of a platform, in one folder."""
