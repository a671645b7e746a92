from odoo import api, fields, models
from odoo.exceptions import ValidationError


class Good(models.Model):
    _name = "ocore.good"
    _description = "Good"

    name = fields.Char()
    size = fields.Integer(compute="_compute_size", store=True)

    @api.depends("name")
    def _compute_size(self):
        """The name's length."""
        for record in self:
            record.size = len(record.name or "")

    @api.constrains("name")
    def _check_name(self):
        """No shouting."""
        for record in self:
            if record.name and record.name.isupper():
                raise ValidationError("Not so loud")

    @api.model
    def greet(self, who, *, loud=False, **more):
        """Greets.

        :param who: whom
        """
        return "hello %s" % who


class Partner(models.Model):
    _inherit = "res.partner"

    def name_get(self):
        return super().name_get()

    @api.model_create_multi
    def create(self, vals_list):
        return super().create(vals_list)
