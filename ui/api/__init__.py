"""The gallery for programs: ``/api/v1`` with its own description (OpenAPI) and a page that shows it."""
