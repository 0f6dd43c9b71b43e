package report

// SchemaVersion is the version of everything that is written as JSON.
const SchemaVersion = schemaVersion
