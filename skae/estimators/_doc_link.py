"""The link to its documentation that a displayed estimator carries."""


class DocLinkMixin:
    """Points scikit-learn's HTML display at skae's documentation."""

    _doc_link_module = "skae"
    _doc_link_template = (
        "https://skae.readthedocs.io/en/stable/generated/skae.{name}.html"
    )

    def _doc_link_url_param_generator(self):
        return {"name": type(self).__name__}
