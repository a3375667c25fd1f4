"""The database: tables, migrations, the doors to it, and rows as values."""
