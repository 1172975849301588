"""The colours of all charts, in light and in dark."""

# Outside of the site the colours follow the reader's setting; for the site see
# docs/assets/site.css.
STYLE = """
.mt-chart { --ink: #333; --rule: #bbb; --less: #00796b; --more: #b3541e }
@media (prefers-color-scheme: dark) {
  .mt-chart { --ink: #ddd; --rule: #666; --less: #4db6ac; --more: #e08a4f }
}
"""
