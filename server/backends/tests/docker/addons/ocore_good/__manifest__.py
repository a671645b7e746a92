{'name': 'Good', 'version': '1.0', 'depends': ['base'], 'data': ['data/data.xml'], 'license': 'LGPL-3', 'installable': True}
